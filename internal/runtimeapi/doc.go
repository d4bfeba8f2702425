// Package runtimeapi runs a Lambda function of the provided.al2023 runtime on this machine: it starts the function's
// bootstrap binary as a process and serves it the AWS Lambda Runtime API, version 2018-06-01, over which the process asks
// for the next invocation and answers it.
//
// Start a Function, Invoke it, Close it. One process handles one invocation at a time and is reused, as a Lambda
// execution environment is; concurrent invocations start further processes up to Function.Concurrency.
//
// What is as in Lambda: the headers and status codes of the Runtime API, the time-out, the errors for a crash, a failed
// start and a response that is too large, the quotas on payloads, warm reuse, and the environment: the process sees only
// the declared variables and those Lambda reserves, nothing of the developer's own environment.
//
// What is not: MemoryMB is told to the process but not enforced, the file system and the network are the machine's, and
// an initialization that exceeds InitTimeout fails instead of being repeated within the time-out of the invocation.
//
// It follows the AWS pages "Using the Lambda runtime API for custom runtimes", "Understanding the Lambda execution
// environment lifecycle" and "Lambda quotas" (requirements A27, C6, C11).
package runtimeapi
