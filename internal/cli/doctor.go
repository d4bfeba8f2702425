package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

func doctorCommand() *cobra.Command {
	var common commonFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check all that a deployment needs, before it starts",
		Long: `Check all that a deployment needs, before it starts.

Tools (Go, the Pulumi CLI, Docker unless image is set), the stack and its
configuration, credentials and their account, the Region, the network that the
configuration names, whether the chosen names are free, the buckets that are there
already and that the configuration names, whether anybody hears of failures if
the stack is protected, and the quotas that new accounts run into:
VPCs, the vCPUs of Fargate and of Fargate Spot for as many tasks as may run at a
time, and Lambda's concurrency. IAM simulates whether the credentials may do all
that deployer-policy prints. Nothing is changed.

✓ is well, ✗ stands in the way of a deployment, ? is for you to look at:
it could not be found out, or may be meant.

` + indented("It needs these permissions, and what it has none for is a ?: "+strings.Join(operate.DoctorPermissions(), ", ")+".", ""),
		Example: `  upload-router doctor --stack dev
  upload-router doctor --stack dev --json | jq '.checks[] | select(.status != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, u := cmd.Context(), newUI(cmd, &common)
			options := operate.DoctorOptions{Stack: common.stackOptions(ctx), OnCheck: u.check}
			u.progress("looking ...")
			diagnosis, err := operate.Doctor(ctx, options)
			u.rest()
			if err != nil {
				return err
			}
			if u.json {
				if err := u.document(struct {
					Ready bool `json:"ready"`
					operate.Diagnosis
				}{diagnosis.Ready(), diagnosis}); err != nil {
					return err
				}
			}
			return verdict(diagnosis)
		},
	}
	common.stackFlags(cmd)
	return cmd
}

// verdict is the error for a diagnosis that stands in the way.
func verdict(d operate.Diagnosis) error {
	if d.Ready() {
		return nil
	}
	return fmt.Errorf("%w: %s", operate.ErrNotReady, failures(d))
}

// failures says how many checks failed.
func failures(d operate.Diagnosis) string {
	failed := 0
	for _, c := range d.Checks {
		if c.Status == operate.CheckFailed {
			failed++
		}
	}
	return fmt.Sprintf("%d of %d checks failed", failed, len(d.Checks))
}

// passed says how many checks found that all is well, and how many are to be looked at.
func passed(d operate.Diagnosis) string {
	unknown := 0
	for _, c := range d.Checks {
		if c.Status == operate.CheckUnknown {
			unknown++
		}
	}
	if all := len(d.Checks); unknown > 0 {
		return fmt.Sprintf("%d of %d checks; %d to look at", all-unknown, all, unknown)
	}
	return fmt.Sprintf("%d checks", len(d.Checks))
}

// check prints a check.
func (u *ui) check(c operate.Check) {
	mark := map[operate.CheckStatus]string{operate.CheckOK: "✓", operate.CheckFailed: "✗", operate.CheckUnknown: "?"}[c.Status]
	const column = 22 // of the names
	if c.Status == operate.CheckOK {
		u.wrapped(fmt.Sprintf("%s %-*s ", mark, column, c.Name), c.Found)
		return
	}
	u.say("%s %s", mark, c.Name)
	u.wrapped("    ", c.Found)
	if c.Why != "" {
		u.wrapped("    why:  ", c.Why)
	}
	if c.Fix != "" {
		u.wrapped("    fix: ", c.Fix)
	}
	for _, command := range c.Commands { // whole, as they are for a shell
		u.say("    %s", printableLines(command))
	}
}
