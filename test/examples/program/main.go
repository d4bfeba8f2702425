// Command program is the worker with the processor of an example, which the environment names: a copy of the project has it in the place
// of its own.
package main

import (
	"os"

	csvtondjson "example.com/upload-router/examples/csv-to-ndjson"
	quarantine "example.com/upload-router/examples/quarantine"
	unzip "example.com/upload-router/examples/unzip"
	"example.com/upload-router/worker"
)

func main() {
	switch os.Getenv("EXAMPLE") {
	case "csv-to-ndjson":
		worker.Main(csvtondjson.Process)
	case "quarantine":
		worker.Main(quarantine.Process)
	case "unzip":
		worker.Main(unzip.Process)
	default: // whose images say what it is to run
		worker.Main(csvtondjson.Process)
	}
}
