// Command sweep is the Lambda function that looks after what executions leave behind.
package main

import "example.com/upload-router/internal/sweep"

func main() { sweep.Main() }
