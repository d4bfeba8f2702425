package docs

import (
	"fmt"
	"math"
	"strings"

	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/operate"
)

// deployerPolicy is what whoever deploys a stack needs.
type deployerPolicy struct {
	stack, whole string
	size, parts  int
}

func (p deployerPolicy) file() string { return "deployer-policy." + p.stack + ".json" }

// deployers are the policies for the stacks that have a file and are for AWS.
func deployers(root string) ([]deployerPolicy, error) {
	var policies []deployerPolicy
	for _, stack := range []string{"dev", "prod"} {
		config, err := stackfile.Read(root, stack)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration of %s: %w", stack, err)
		}
		options := operate.DeployerOptions{Stack: stack, Config: config}
		parts, err := operate.DeployerPolicy(options)
		if err != nil {
			return nil, fmt.Errorf("finding the permissions to deploy %s: %w", stack, err)
		}
		options.Limit = math.MaxInt
		whole, err := operate.DeployerPolicy(options)
		if err != nil {
			return nil, fmt.Errorf("finding the permissions to deploy %s: %w", stack, err)
		}
		policies = append(policies, deployerPolicy{stack: stack, whole: whole[0].JSON, size: whole[0].Size, parts: len(parts)})
	}
	return policies, nil
}

// deployerTable lists the policies.
func deployerTable(policies []deployerPolicy) string {
	var out strings.Builder
	out.WriteString("| stack | policy | characters | managed policies that it takes |\n|---|---|--:|--:|\n")
	for _, p := range policies {
		fmt.Fprintf(&out, "| `%s` | [%s](%s) | %d | %d |\n", p.stack, p.file(), p.file(), p.size, p.parts)
	}
	return out.String()
}
