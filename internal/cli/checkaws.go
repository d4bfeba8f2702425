package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

// checkAWSOptions are the flags of `check-aws`.
type checkAWSOptions struct {
	common commonFlags
	config []string
	role   string
}

func checkAWSCommand() *cobra.Command {
	var o checkAWSOptions
	cmd := &cobra.Command{
		Use:   "check-aws",
		Short: "Ask Step Functions whether it does what the local run believes",
		Long: `Ask Step Functions whether it does what the local run believes.

The declared definition is validated (ValidateStateMachineDefinition), and its
states are tested one by one (TestState): with the inputs, and the results of
their tasks, that executions on this machine had. What AWS answers is compared
with what the local interpreter made of them. So are small states for rules that
AWS documents nowhere, and spellings of results that it leaves open.

Nothing is made, started, called or changed, and no stack need be deployed: a
task's result is given to the test, which calls nothing then. It takes credentials
and a Region, and up to about a hundred requests; AWS's price list has no price
for either of them, which are no state transitions of an execution.

✓ is as the interpreter has it, ✗ is a difference, ? could not be found out: as for
Pass, Choice, Succeed and Fail states if Step Functions wants a role for them, which
--role names. Wait states, and states that look at the clock, are not
tested.

` + indented("It needs these permissions, and with --role by iam:PassRole: "+strings.Join(operate.CheckAWSPermissions(), ", ")+".", "") + `

Exit codes: 0 every check was answered, and as the interpreter has it, 1 a
difference, 2 wrong arguments or configuration, 3 no credentials or no Region,
4 not all could be asked, and of what could nothing differs.`,
		Example: `  upload-router check-aws --stack dev
  upload-router check-aws --config aws:region=eu-central-1 --config taskCompletion=callback
  upload-router check-aws --stack prod --json | jq '.checks[] | select(.status == "failed")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	o.common.stackFileFlags(cmd)
	o.common.profileFlag(cmd)
	flags.StringArrayVarP(&o.config, "config", "c", nil, configUsage)
	flags.StringVar(&o.role, "role", "",
		"the ARN of a role that Step Functions may take, to test states that aren't tasks with; it needs no permissions")
	return cmd
}

func (o *checkAWSOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.common)
	declared, err := declaredConfiguration(o.common.stack, o.config)
	if err != nil {
		return err
	}
	options, err := o.asked(ctx, declared.values)
	if err != nil {
		return err
	}
	options.OnCheck = u.check
	u.progress("asking Step Functions ...")
	compared, err := operate.CheckAWS(ctx, options)
	u.rest()
	if err != nil {
		return err
	}
	answered := compared.Answered()
	u.say("%d of %d could be asked.", answered, compared.Total)
	if u.json {
		if err := u.document(struct {
			Same     bool `json:"same"`
			Answered int  `json:"answered"`
			operate.Comparison
		}{compared.Same(), answered, compared}); err != nil {
			return err
		}
	}
	if !compared.Ready() {
		return fmt.Errorf("%w: AWS differs: %s", errFailures, failures(compared.Diagnosis))
	}
	if !compared.Same() {
		return fmt.Errorf("%w: %d of %d checks are without an answer, and may differ", errNotAsked, compared.Total-answered, compared.Total)
	}
	return nil
}

// asked are the definition, and the account that is asked.
func (o *checkAWSOptions) asked(ctx context.Context, values map[string]string) (operate.CheckAWSOptions, error) {
	cfg, err := operate.LoadAWS(ctx, values[keyRegion], cmp.Or(o.common.profile, values["aws:profile"]))
	if err != nil {
		return operate.CheckAWSOptions{}, err
	}
	if cfg.Region == "" {
		return operate.CheckAWSOptions{}, fmt.Errorf(
			"%w: no Region: AWS_REGION, or --config aws:region=eu-central-1", operate.ErrNotReady)
	}
	// The Region that is asked decides how the definition names its integrations.
	values = maps.Clone(values)
	values[keyRegion] = cfg.Region
	definition, err := operate.DeclaredDefinition(values)
	if err != nil {
		return operate.CheckAWSOptions{}, err
	}
	if err := credentials(ctx, cfg); err != nil {
		return operate.CheckAWSOptions{}, err
	}
	return operate.CheckAWSOptions{Definition: definition, AWS: cfg, RoleARN: o.role}, nil
}
