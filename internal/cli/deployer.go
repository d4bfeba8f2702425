package cli

import (
	"fmt"
	"io"
	"regexp"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

var accountForm = regexp.MustCompile(`^\d{12}$`)

func deployerCommand() *cobra.Command {
	var stack, account string
	var config []string
	var part int
	var enableEventBridge bool
	cmd := &cobra.Command{
		Use:   "deployer-policy",
		Short: "Print the IAM policy that whoever deploys a stack needs",
		Long: `Print the IAM policy that whoever deploys a stack needs: to preview, deploy,
refresh, change and destroy what the project declares for its configuration, and
nothing else. It is written from the declared resources; no account is asked.

Names that Pulumi makes up end in seven characters of its own, which the policy
leaves open; what has no name is known by the tags project and stack. Another
name, or another configuration that adds resources, takes another policy.

IAM takes 6,144 characters a managed policy, and 10,240 of all inline policies of
a role. What is longer than a managed policy is printed as several documents, one
after the other, all of which have to be attached; --part prints one of them. How
long they are is said on the standard error.

Not in it: the permissions to the Pulumi backend and to a KMS key of its secrets, and
the permissions of those who upload and operate. Who may deploy decides what the
stack's roles may do: a permissions boundary or the organization's policies can
limit that.

Exit codes: 0 printed, 2 the configuration or an argument is wrong.`,
		Example: `  upload-router deployer-policy --stack dev
  upload-router deployer-policy --stack prod --account 123456789012 --config aws:region=eu-central-1
  upload-router deployer-policy --stack prod --part 1 > deploy-1.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if account != "" && !accountForm.MatchString(account) {
				return fmt.Errorf("%w: --account %q: an account has twelve digits, such as 123456789012", errFlag, account)
			}
			declared, err := declaredConfiguration(stack, config)
			if err != nil {
				return err
			}
			documents, err := operate.DeployerPolicy(operate.DeployerOptions{
				Project: declared.project, Stack: declared.stack, Config: declared.values, AccountID: account,
				EnableEventBridge: enableEventBridge,
			})
			if err != nil {
				return err
			}
			return printPolicies(cmd, documents, part)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&stack, "stack", "s", "",
		"the stack, with the configuration of its file, Pulumi.<stack>.yaml (default: local, without a file)")
	_ = cmd.RegisterFlagCompletionFunc("stack", completeStacks)
	flags.StringArrayVarP(&config, "config", "c", nil, configUsage)
	flags.StringVar(&account, "account", "", "the account's twelve digits (default: any, which is the one that the policy is in)")
	flags.BoolVar(&enableEventBridge, "enable-eventbridge", false, "with what up --enable-eventbridge takes (default: without)")
	flags.IntVar(&part, "part", 0, "print this document alone, counted from 1 (default: all)")
	return cmd
}

// printPolicies prints one of the documents, or all of them.
func printPolicies(cmd *cobra.Command, documents []operate.PolicyDocument, part int) error {
	if part < 0 || part > len(documents) {
		return fmt.Errorf("%w: --part %d: there are %d", errFlag, part, len(documents))
	}
	for i, document := range documents {
		if part != 0 && part != i+1 {
			continue
		}
		if _, err := io.WriteString(cmd.OutOrStdout(), document.JSON); err != nil {
			return fmt.Errorf("printing the policy: %w", err)
		}
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "policy %d of %d: %d characters\n", i+1, len(documents), document.Size)
	}
	if len(documents) > 1 && part == 0 {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "It takes %d policies: attach all of them.\n", len(documents))
	}
	return nil
}
