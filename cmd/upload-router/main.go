// Command upload-router shows and operates the system that the Pulumi program declares.
package main

import (
	"os"

	"example.com/upload-router/internal/cli"
)

func main() { os.Exit(cli.Main()) }
