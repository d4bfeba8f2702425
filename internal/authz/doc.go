// Package authz decides, as IAM does, whether the declared policies let a role or a service make a call: the policies of roles,
// those of buckets, queues, topics, keys and endpoints, and the trust policies of roles, all taken from what a Pulumi program
// registered.
//
// A role needs an Allow in its own policies or in the resource's, or in both if the resource is another account's; a service in
// the resource's; a key's policy must allow or delegate; and a Deny anywhere wins. A resource that is given and not declared has
// the policy that the stack's outputs say it must have.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
//
// What it doesn't know (an element, an operator, a condition key, a variable, a managed policy, a type of resource that holds a
// policy) is an error of [Load]: a policy is never judged by half of it.
package authz
