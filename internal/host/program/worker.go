package program

import (
	"encoding/json"
	"log/slog"

	"example.com/upload-router/internal/host/secrets"
	"example.com/upload-router/upload"
)

// Processor is [Func] in the worker, which the environment tells how to run the program; lookup is [os.LookupEnv] in a real one. The
// program gets the secrets of its run as variables. From then on the program can't look into this process.
func Processor(argv []string, lookup func(string) (string, bool)) upload.Func[json.RawMessage] {
	if err := Isolate(); err != nil {
		slog.Warn("the program may look into the worker", slog.String("cause", err.Error()))
	}
	options := fromEnvironment(lookup)
	options.Environment = secrets.Of
	return Func(argv, options)
}

// fromEnvironment reads the options. A folder in which others have something as well isn't taken, whoever has set the variable: to empty
// the temporary folder of a developer's machine would be worse than to leave something in one of AWS's.
func fromEnvironment(lookup func(string) (string, bool)) Options {
	var options Options
	folder, _ := lookup(EnvironmentFolder)
	switch {
	case folder == "":
	case isAlone(folder):
		options.Folder = folder
	default:
		slog.Warn("the program's folder isn't its alone: each run has one of its own instead", slog.String("folder", folder))
	}
	credentials, _ := lookup(EnvironmentCredentials)
	options.Credentials = credentials == "true"
	return options
}
