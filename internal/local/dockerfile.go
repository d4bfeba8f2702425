package local

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
)

var errDockerfile = errors.New("the local run can't follow this Dockerfile")

// imageProgram is what a container of an image starts.
type imageProgram struct {
	// binary is the program's file in the build context.
	binary string
	// args are its arguments.
	args []string
}

// readDockerfile follows a Dockerfile whose image is made of copied files only: FROM scratch, COPY of files, USER, and ENTRYPOINT
// in its exec form. Anything else can't be run without a container engine and is an error.
func readDockerfile(r io.Reader, context string) (imageProgram, error) {
	copied := map[string]string{} // from the path in the image to the file in the context
	var entrypoint []string
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		instruction := strings.Fields(text)[0]
		rest := strings.TrimSpace(strings.TrimPrefix(text, instruction))
		if err := follow(strings.ToUpper(instruction), rest, context, copied, &entrypoint); err != nil {
			return imageProgram{}, fmt.Errorf("%w: line %d: %w", errDockerfile, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return imageProgram{}, fmt.Errorf("reading the Dockerfile: %w", err)
	}
	if len(entrypoint) == 0 {
		return imageProgram{}, fmt.Errorf(`%w: it has no ENTRYPOINT ["..."]`, errDockerfile)
	}
	binary, ok := copied[path.Clean(entrypoint[0])]
	if !ok {
		return imageProgram{}, fmt.Errorf("%w: no COPY makes the entry point %s", errDockerfile, entrypoint[0])
	}
	return imageProgram{binary: binary, args: entrypoint[1:]}, nil
}

func follow(instruction, rest, context string, copied map[string]string, entrypoint *[]string) error {
	switch instruction {
	case "FROM":
		if rest != "scratch" {
			return fmt.Errorf("%w: FROM %s: only FROM scratch", errors.ErrUnsupported, rest)
		}
		clear(copied) // a stage begins; the last one is the image
		*entrypoint = nil
	case "COPY":
		fields := strings.Fields(rest)
		if len(fields) != 2 || strings.ContainsAny(rest, `[]*?"'\$`) || strings.HasPrefix(rest, "-") || !filepath.IsLocal(fields[0]) {
			return fmt.Errorf("%w: COPY %s: only COPY <file> <path>", errors.ErrUnsupported, rest)
		}
		to := path.Clean(path.Join("/", fields[1]))
		if strings.HasSuffix(fields[1], "/") {
			to = path.Join(to, path.Base(fields[0]))
		}
		copied[to] = filepath.Join(context, fields[0])
	case "ENTRYPOINT":
		*entrypoint = nil
		if err := json.Unmarshal([]byte(rest), entrypoint); err != nil {
			return fmt.Errorf(`%w: ENTRYPOINT %s: only the exec form, ENTRYPOINT ["/path"]`, errors.ErrUnsupported, rest)
		}
	case "USER": // which takes a container to follow
	default:
		return fmt.Errorf("%w: %s", errors.ErrUnsupported, instruction)
	}
	return nil
}
