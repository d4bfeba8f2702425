// Package operate sets up, uses and repairs deployed upload routers from Go.
// The command line, internal/cli, is a view of it: nothing here prints or asks.
//
// There are two things to hold:
//
//   - A [Stack] is an environment as Pulumi keeps it: [Stack.Preview],
//     [Stack.Up], [Stack.Refresh] and [Stack.Destroy] run Pulumi through its
//     Automation API and report what they do as typed events. What they leave
//     behind is what `pulumi up` would have left, and the other way round.
//   - A [System] is what was deployed, found by the stack's outputs. It needs
//     no Pulumi: [System.Send], [System.Executions], [System.PlanRedrive] and the
//     others talk to AWS alone.
//
// Every error names what is wrong and how to mend it; the kinds a caller may want to tell apart are the Err variables.
package operate
