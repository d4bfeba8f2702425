// Package asl is a model of the Amazon States Language (JSONPath query language, Standard workflows): the same types write a
// definition, check it and run it.
//
// A [Machine] built from the state types ([Task], [Choice], [Pass], [Wait], [Succeed], [Fail], [Map]) marshals to the JSON that AWS Step
// Functions takes, and [Parse] reads such JSON back. Both go through the same checks ([Machine.Validate]), which report every
// fault at once with the state's name.
//
// An [Interpreter] loads a machine and runs executions of it on this computer, with the work of each Task done by an
// [Integration]. The data flow (InputPath, Parameters, ResultSelector, ResultPath, OutputPath), the context object, the 18
// intrinsic functions, retries, catchers, time limits and payload limits follow the AWS Step Functions Developer Guide. Where the
// guide leaves the behaviour open, the doc comment of the type concerned says what was chosen.
//
// States may be in JSONata, which package jsonata evaluates as Step Functions does.
//
// A [Map] is Inline, in the execution itself, or Distributed: its items come from the state's input or, through the integrations of
// s3:listObjectsV2 and s3:getObject, from a dataset in S3 that is read while its child executions run.
//
// Outside this package are Parallel states, Express workflows but for the child executions of a Distributed Map, variables in states of
// JSONPath but for constants that a rule of a Choice sets, and time limits of tasks as expressions: a definition that uses them is refused
// when it is loaded, never run wrongly.
//
// What differs from AWS all the same is in docs/differences.md. The case files of testdata hold what was measured on AWS, with
// the source; test/engines asks other engines for the same.
package asl
