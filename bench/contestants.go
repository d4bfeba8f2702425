package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"example.com/upload-router/internal/host/request"
)

// contestant does one job with an object: its SHA-256.
type contestant struct {
	name string
	// command and environment run it for an object of the server.
	command     func(s *server, key string) []string
	environment func(s *server, key string) []string
	// absent says why it does not take part; empty when it does.
	absent string
	// timesItself says that it prints the seconds that it took, before the digest.
	timesItself bool
}

const (
	nameProject = "this project"
	nameLimit   = "SHA-256 from memory, one core"
	nameCurl    = "curl ⎮ openssl dgst"
	namePlain   = "plain single GET in Go"
	nameS5cmd   = "s5cmd cat ⎮ openssl dgst"
	nameAWS     = "aws s3 cp - ⎮ sha256sum"
)

// contestants are all that can take part here; task is the binary of the task's image.
func contestants(ctx context.Context, task string) []contestant {
	self := func(name string, argument func(*server, string) string) contestant {
		return contestant{
			command:     func(s *server, key string) []string { return []string{executable(), argument(s, key)} },
			environment: func(*server, string) []string { return []string{environmentChild + "=" + name} },
		}
	}
	limit := self(childMemory, func(s *server, key string) string { return strconv.FormatInt(s.objects[key].size, 10) })
	limit.name, limit.timesItself = nameLimit, true
	plain := self(childPlain, func(s *server, key string) string { return s.url() + "/" + bucket + "/" + key })
	plain.name = namePlain
	return []contestant{
		limit,
		{
			name:        nameProject,
			command:     func(*server, string) []string { return []string{task} },
			environment: taskEnvironment,
		},
		pipeline(nameCurl, `curl -sSf "$1/$2/$3" | openssl dgst -sha256`, "curl", "openssl"),
		plain,
		s5cmd(ctx),
		pipeline(nameAWS, `aws --endpoint-url "$1" s3 cp --quiet "s3://$2/$3" - | sha256sum`, "aws", "sha256sum"),
	}
}

// chooseContestants keeps this project and those that one of the names is part of.
func chooseContestants(all []contestant, names string) []contestant {
	return slices.DeleteFunc(all, func(c contestant) bool { return c.name != nameProject && !named(c.name, names) })
}

// named reports whether one of the parts, separated by commas, is in the name. An empty one is in every name.
func named(name, parts string) bool {
	return slices.ContainsFunc(strings.Split(parts, ","), func(part string) bool { return strings.Contains(name, part) })
}

// pipeline is a contestant that the shell runs; $1 is the endpoint, $2 the bucket, $3 the key.
func pipeline(name, script string, needs ...string) contestant {
	c := contestant{
		name: name,
		command: func(s *server, key string) []string {
			return []string{"bash", "-o", "pipefail", "-c", script, "bash", s.url(), bucket, key}
		},
		environment: awsEnvironment,
	}
	for _, program := range append(needs, "bash") {
		if _, err := exec.LookPath(program); err != nil {
			c.absent = program + " is not installed"
		}
	}
	return c
}

func awsEnvironment(*server, string) []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + accessKeyID, "AWS_SECRET_ACCESS_KEY=" + secretAccessKey, "AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region, // It is the only one that Python looks at.
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
}

// taskEnvironment is what ECS and the state machine give the task.
func taskEnvironment(s *server, key string) []string {
	return slices.Concat(awsEnvironment(s, key), s.ledgerEnvironment(), []string{
		"AWS_ENDPOINT_URL_S3=" + s.url(),
		request.EnvironmentBucket + "=" + bucket,
		request.EnvironmentKey + "=" + request.EncodeKey(key),
		request.EnvironmentETag + "=" + strings.Trim(etag, `"`),
		request.EnvironmentSize + "=" + strconv.FormatInt(s.objects[key].size, 10),
	})
}

// s5cmdModule is the version that the results are for.
const s5cmdModule = "github.com/peak/s5cmd/v2@v2.3.0"

var errNoFolder = errors.New("the module has no folder")

// s5cmd is built from its module, outside this one, and kept in the user's cache.
func s5cmd(ctx context.Context) contestant {
	binary, err := buildS5cmd(ctx)
	if err != nil {
		return contestant{name: nameS5cmd, absent: "it could not be built: " + err.Error()}
	}
	return pipeline(nameS5cmd, quoted(binary)+` --endpoint-url "$1" cat "s3://$2/$3" | openssl dgst -sha256`, "openssl")
}

func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

func buildS5cmd(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache: %w", err)
	}
	binary := filepath.Join(cache, "upload-router-bench", "s5cmd-v2.3.0")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", s5cmdModule)
	download.Dir = os.TempDir() // Not in this module, whose go.mod it would use.
	text, err := download.Output()
	if err != nil {
		return "", fmt.Errorf("downloading %s: %w", s5cmdModule, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(text, &module); err != nil {
		return "", fmt.Errorf("downloading %s: %w", s5cmdModule, err)
	}
	if module.Dir == "" {
		return "", fmt.Errorf("downloading %s: %w", s5cmdModule, errNoFolder)
	}
	build := exec.CommandContext(ctx, "go", "build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	build.Dir = module.Dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", s5cmdModule, err, tail(string(said)))
	}
	return binary, nil
}

// executable is this program.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
