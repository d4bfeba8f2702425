package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/awsquery"
	"example.com/upload-router/internal/deployer"
)

const checkPermissions = "Deployer's permissions"

var errNotSimulated = errors.New("IAM simulates the policies of users and roles only")

// permissions has IAM simulate whether the credentials may do all that a deployment of the stack, a change of it and its end may
// take. The simulator knows the policies of the user or role, its permissions boundary and the organization's service control
// policies; it doesn't know session policies.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (d *doctor) permissions(ctx context.Context) {
	if strings.HasSuffix(d.caller, ":root") {
		d.ok(checkPermissions, "the account's root user, whom no policy of the account limits")
		return
	}
	stack := lastPart(d.stack.Name(), "/")
	grants, err := deployerGrants(DeployerOptions{
		Project: d.stack.Project(), Stack: stack, Config: d.config, AccountID: d.account, EnableEventBridge: d.options.EnableEventBridge,
	})
	if err != nil {
		d.unknown(checkPermissions, "not looked at: "+shorten(err.Error()),
			"which permissions it takes follows from what the program declares", "upload-router diagram, which says the same")
		return
	}
	client := awsquery.NewIAM(*d.aws)
	principal, err := principalOf(ctx, client, d.caller)
	var s simulation
	if err == nil {
		s, err = simulate(ctx, client, principal, deployer.Merge(grants))
	}
	const why = "a deployment that lacks a permission ends in its middle"
	fix := "upload-router deployer-policy --stack " + stack + ", which prints what the credentials must be allowed"
	who, denied := lastPart(principal, ":"), fmt.Sprintf("IAM's simulator says that %s may not %s", lastPart(principal, ":"), someOf(s.denied))
	switch {
	case errors.Is(err, errNotSimulated) || hasCode(err, "NoSuchEntity"):
		d.unknown(checkPermissions, "not known: "+shorten(lastCause(err))+", and these are "+d.caller, why, fix)
	case err != nil:
		d.unasked(checkPermissions, "", actionSimulate, err)
	case len(s.denied) > 0 && d.outputs != nil:
		d.unknown(checkPermissions, denied, "what changes decides which of these permissions it takes", fix)
	case len(s.denied) > 0:
		d.failed(checkPermissions, denied, why, fix)
	case len(s.open) > 0:
		d.unknown(checkPermissions, fmt.Sprintf("%s may, or may not, %s: it depends on %s", who, someOf(s.open), strings.Join(s.missing, ", ")),
			"IAM's simulator doesn't know these values; a deployment may succeed", fix)
	default:
		d.ok(checkPermissions, fmt.Sprintf("%s may do all of %s, as IAM simulates it", who, plural(int64(s.allowed), "action")))
	}
}

// someOf lists a few of many.
func someOf(all []string) string {
	const few = 3
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:few], ", "), len(all)-few)
}

// simulation is what IAM's simulator said.
type simulation struct {
	allowed int
	// denied are the refused actions, each with its resource and who refuses it; open are those that depend on missing, which are context
	// keys.
	denied, open, missing []string
}

// simulate asks for each resource whether the principal may do what is granted.
func simulate(ctx context.Context, client *awsquery.IAM, principal string, grants []deployer.Grant) (simulation, error) {
	const atATime = 4 // IAM answers few requests a second
	var mu sync.Mutex
	var s simulation
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	for _, g := range grants {
		group.Go(func() error {
			results, err := client.Simulate(ctx, principal, g.Actions, deployer.Example(g.Resource), contextOf(g.Condition))
			if err != nil {
				return fmt.Errorf("simulating what %s may do: %w", principal, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, result := range results {
				s.add(result)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return simulation{}, err //nolint:wrapcheck // It is our own.
	}
	slices.Sort(s.denied)
	slices.Sort(s.open)
	slices.Sort(s.missing)
	s.missing = slices.Compact(s.missing)
	return s, nil
}

func (s *simulation) add(result awsquery.Evaluation) {
	if result.Allowed() {
		s.allowed++
		return
	}
	what := result.Action + " on " + result.Resource
	if len(result.MissingContextValues) > 0 {
		s.open = append(s.open, what)
		s.missing = append(s.missing, result.MissingContextValues...)
		return
	}
	by := result.Decision
	if allows := result.ByOrganization; allows != nil && !*allows {
		by = "by the organization's policies"
	} else if allows := result.ByBoundary; allows != nil && !*allows {
		by = "by the permissions boundary"
	}
	s.denied = append(s.denied, fmt.Sprintf("%s (%s)", what, by))
}

// contextOf gives the values under which a condition holds.
func contextOf(condition map[string]map[string][]string) map[string]string {
	values := map[string]string{}
	for operator, keys := range condition {
		for key := range keys {
			value := deployer.Example(condition[operator][key][0])
			if operator == "Null" {
				if value == "true" {
					continue // it holds without a value
				}
				value = "CreateVpc" // ec2:CreateAction, the one key that must have one
			}
			values[key] = value
		}
	}
	return values
}

// principalOf is the user or role whose policies count for a caller.
func principalOf(ctx context.Context, client *awsquery.IAM, caller string) (string, error) {
	parsed, err := arn.Parse(caller)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotSimulated, err)
	}
	kind, rest, _ := strings.Cut(parsed.Resource, "/")
	switch kind {
	case "user", "role":
		return caller, nil
	case "assumed-role":
		name, _, _ := strings.Cut(rest, "/")
		role, err := client.Role(ctx, name)
		if err != nil {
			// Without the permission to look, the role has no path, as most don't; one of IAM Identity Center has.
			if strings.HasPrefix(name, "AWSReservedSSO_") {
				return "", fmt.Errorf("finding the role %s, which takes %s: %w", name, actionRole, err)
			}
			parsed.Service, parsed.Resource = "iam", "role/"+name
			return parsed.String(), nil
		}
		return role, nil
	}
	return "", errNotSimulated
}
