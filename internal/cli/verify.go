package cli

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

func verifyCommand() *cobra.Command {
	var common commonFlags
	var options operate.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that what is deployed works, on each route",
		Long: `Prove that what is deployed works, on each route.

It uploads the files in processor/testdata, but hidden ones, or, if there are
none, makes one for each route, just under or over the size at which it parts from
others; and waits for their executions. Each must succeed on the right route, with
the digest of what was uploaded; the dead-letter queue and the alarms must be
quiet. Then every version of the files is deleted from the bucket of uploads. What a
processor wrote to outputBucket stays there, and so does the ledger's record.

The first events of a new bucket can take about five minutes to arrive.

When something fails, it walks the links between an upload and its result: the
bucket's notification, the rule and its target, the roles' permissions, the image, the
subnets' route, the security group, the log. It names the one that is broken.

The files are processed and billed as any others.

` + permissionsOf("verify") + `
Those of EC2, ECR and IAM, and what the links are asked with besides, it takes only
once a file failed: a link that it may not ask for is a ?.

Exit codes: 1 when something isn't as it should be, 6 when it took too long.`,
		Example: `  upload-router verify --stack dev
  upload-router verify --stack dev --json | jq '.diagnosis[] | select(.status == "failed")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.StartTimeout <= 0 || options.Timeout <= 0 {
				return fmt.Errorf("%w: --start-timeout and --timeout must be positive", errFlag)
			}
			return runVerify(cmd, &common, options)
		},
	}
	common.systemFlags(cmd)
	flags := cmd.Flags()
	spanVar(flags, &options.StartTimeout, flagStartTimeout, 10*time.Minute, "how long an execution may take to start")
	spanVar(flags, &options.Timeout, "timeout", time.Hour, "how long all of it may take")
	return cmd
}

func runVerify(cmd *cobra.Command, common *commonFlags, options operate.VerifyOptions) error {
	ctx, u := cmd.Context(), newUI(cmd, common)
	system, err := common.lookUp(cmd, u, "looking up what is deployed")
	if err != nil {
		return err
	}
	if options.Files, err = operate.TestData(ctx); err != nil {
		return err
	}
	if len(options.Files) > 0 {
		u.say("Verifying with what is in %s.", operate.TestDataFolder)
	}
	view := &sendView{ui: u, began: time.Now()}
	late := lateView{ui: u}
	options.OnFile = func(f operate.Sent) {
		if len(options.Files) == 0 {
			f.Key = path.Base(f.Key) // what is before it is the same for all, and long
		}
		view.take(f)
		late.take(f)
	}
	options.OnCheck = u.check
	stop := every(redraw, func() {
		late.look()
		view.show()
	})
	result, err := system.Verify(ctx, options)
	stop()
	u.rest()
	if u.json {
		if broken := u.document(struct {
			Passed bool `json:"passed"`
			operate.Verification
		}{err == nil && result.Passed(), result}); broken != nil {
			return errors.Join(err, broken)
		}
	}
	if err != nil {
		if len(result.Diagnosis) > 0 {
			_ = u.verified(result, len(options.Files) > 0) // the error says more: that the time was up
		}
		return err
	}
	return u.verified(result, len(options.Files) > 0)
}

// verified shows the verdict, and after a failure what was found on the way. Files of the project's own may not take each route.
func (u *ui) verified(v operate.Verification, own bool) error {
	if v.Passed() {
		switch missing := strings.Join(v.Unproved, ", "); {
		case own:
			u.say("Each file was processed as it should be.")
		case missing != "":
			u.wrapped("", "The other routes work; not proved: "+missing+".")
		default:
			u.say("Every route works.")
		}
		return nil
	}
	if len(v.Diagnosis) > 0 {
		u.say("")
		u.say("From the upload to the result:")
		for _, c := range v.Diagnosis {
			u.check(c)
		}
	}
	u.say("")
	if broken := v.Broken(); len(broken) > 0 {
		u.wrapped("", "Broken: "+broken[0].Name+": "+broken[0].Found)
	} else if len(v.Diagnosis) > 0 {
		u.wrapped("", "No link is broken that can be looked at. `upload-router show EXECUTION` has every state and the log.")
	}
	return fmt.Errorf("%w: the verification failed", errFailures)
}

// lateView says once why nothing happens yet.
type lateView struct {
	*ui
	mu    sync.Mutex
	files map[string]operate.Sent
	shown bool
}

func (v *lateView) take(f operate.Sent) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files == nil {
		v.files = map[string]operate.Sent{}
	}
	v.files[f.Key] = f
}

func (v *lateView) look() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.files {
		if hint := operate.StillNothing(f); hint != "" && !v.shown {
			v.shown = true
			v.wrapped("  ", printable(f.Key)+": "+hint+"; waiting.")
		}
	}
}
