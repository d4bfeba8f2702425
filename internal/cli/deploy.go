package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

// deployOptions are the flags of up, preview, refresh and destroy.
type deployOptions struct {
	commonFlags
	message     string
	skipDoctor  bool
	skipPreview bool
	// enableEventBridge has up turn EventBridge on in buckets, which are those that are there already; there are none without it.
	enableEventBridge bool
	buckets           []string
}

const cancelHelp = `

Ctrl-C once cancels cleanly: what AWS is making is finished, the state is saved.
Twice ends at once, and may leave resources behind that no state knows.

Without a terminal there is a line for each resource, and nothing is asked: --yes
is needed to change something. --json is a stream of events, one a line, with the
outcome as the last.`

func upCommand() *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Deploy what the project declares, or update it",
		Long: `Deploy what the project declares, or update it.

Runs the checks of ` + "`upload-router doctor`" + `, shows what would change, asks, and
deploys. It is what ` + "`pulumi up`" + ` does, and either can go on where the other stopped.

--enable-eventbridge adds EventBridge to the notification configuration of the
buckets that are there already (the key buckets), and leaves all else in there;
what has it already isn't touched. Without it, up says which of them lack it.
destroy leaves it on.` + cancelHelp,
		Example: `  upload-router up --stack dev
  upload-router up --stack dev --enable-eventbridge
  upload-router up --stack prod --yes --json | tee deployment.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.up(cmd) },
	}
	o.flags(cmd)
	o.askFlags(cmd)
	cmd.Flags().BoolVar(&o.skipDoctor, "skip-doctor", false, "don't run the checks first")
	cmd.Flags().BoolVar(&o.skipPreview, "skip-preview", false, "don't show what would change first")
	cmd.Flags().BoolVar(&o.enableEventBridge, "enable-eventbridge", false, "turn EventBridge on in the buckets that are there already")
	return cmd
}

func previewCommand() *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:     "preview",
		Short:   "Show what up would change",
		Long:    "Show what up would change. Nothing is changed.",
		Example: "  upload-router preview --stack dev",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stack, view, err := o.open(cmd)
			if err != nil {
				return err
			}
			_, err = view.run(cmd.Context(), operate.OperationPreview, stack.Preview, 0, o.message)
			return err
		},
	}
	o.flags(cmd)
	return cmd
}

func refreshCommand() *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "refresh",
		Short: "Take what AWS has into the stack's state",
		Long: `Take what AWS has into the stack's state. Nothing in AWS is changed; the next
` + "`upload-router up`" + ` fixes what was changed by hand.` + cancelHelp,
		Example: "  upload-router refresh --stack dev --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			stack, view, err := o.open(cmd)
			if err != nil {
				return err
			}
			total, err := stack.Resources(ctx)
			if err != nil {
				return err
			}
			if !o.yes {
				if err := view.confirm(ctx, fmt.Sprintf("Take the state of %d resources of %s from AWS?", total, stack.Name())); err != nil {
					return err
				}
			}
			_, err = view.run(ctx, operate.OperationRefresh, stack.Refresh, total, o.message)
			return err
		},
	}
	o.flags(cmd)
	o.askFlags(cmd)
	return cmd
}

func destroyCommand() *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Delete all that is deployed",
		Long: `Delete all that is deployed. The stack and its configuration stay.

It says first what holds data: objects, images, undelivered events, logs, ledger,
keys. A bucket or a repository with something in it is deleted only if it is
deployed with forceDestroy; else nothing is deleted, with --yes or without: the
exit code is 3, and the error says what helps.` + cancelHelp,
		Example: `  upload-router destroy --stack dev
  upload-router destroy --stack dev --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.destroy(cmd) },
	}
	o.flags(cmd)
	o.askFlags(cmd)
	return cmd
}

func (o *deployOptions) flags(cmd *cobra.Command) {
	o.stackFlags(cmd)
	cmd.Flags().StringVarP(&o.message, "message", "m", "", "message for the stack's history")
}

// open opens the stack that the flags name.
func (o *deployOptions) open(cmd *cobra.Command) (*operate.Stack, *deployView, error) {
	outliveReader(cmd.OutOrStdout())
	view := &deployView{ui: newUI(cmd, &o.commonFlags)}
	view.progress("opening the stack ...")
	defer view.rest()
	stack, err := operate.OpenStack(cmd.Context(), o.stackOptions(cmd.Context()))
	if err != nil {
		return nil, nil, err
	}
	view.prefix = stack.Project() + "-" + stack.Name() + "-"
	return stack, view, nil
}

func (o *deployOptions) up(cmd *cobra.Command) error {
	ctx := cmd.Context()
	stack, view, err := o.ready(cmd)
	if err != nil {
		return err
	}
	var plan operate.Result
	if !o.skipPreview {
		if plan, err = view.run(ctx, operate.OperationPreview, stack.Preview, 0, o.message); err != nil {
			return err
		}
		if !plan.Changed() && !view.json {
			view.say("Nothing to do.")
		}
	}
	if !o.yes && (o.skipPreview || plan.Changed() || o.enableEventBridge) {
		if err := view.confirm(ctx, o.question(stack)); err != nil {
			return err
		}
	}
	// Before the deployment: S3 takes as long as that until it sends events, and what it refuses leaves nothing half deployed.
	if o.enableEventBridge {
		if err := stack.EnableEventBridge(ctx, view.notification); err != nil {
			return err
		}
	}
	if _, err := view.run(ctx, operate.OperationUp, stack.Up, plan.Total, o.message); err != nil {
		return err
	}
	view.say("")
	view.say("What is deployed: upload-router summary --stack %s", stack.Name())
	view.say("Whether it works: upload-router verify --stack %s", stack.Name())
	return nil
}

// question is what a yes is asked for.
func (o *deployOptions) question(stack *operate.Stack) string {
	if o.enableEventBridge {
		return "Deploy " + stack.Name() + ", with EventBridge turned on in " + strings.Join(o.buckets, ", ") + "?"
	}
	return "Deploy " + stack.Name() + "?"
}

// notification says what became of a bucket's notification configuration.
func (v *deployView) notification(n operate.Notification) {
	if v.json {
		_ = v.event(struct {
			Kind string `json:"kind"`
			operate.Notification
		}{"notification", n}) // what can't be written is said of the events that follow
		return
	}
	if n.Added {
		v.say("✓ %s: EventBridge is on; S3 sends its events in about five minutes", n.Bucket)
		return
	}
	v.say("✓ %s: EventBridge was on", n.Bucket)
}

// adopted finds the buckets that are there already, for who wants EventBridge on in them.
func (o *deployOptions) adopted(ctx context.Context, stack *operate.Stack) error {
	var err error
	if o.buckets, err = stack.Buckets(ctx); err == nil && len(o.buckets) == 0 {
		return fmt.Errorf("%w: --enable-eventbridge is for buckets that are there already, and %s has none (the key buckets): the events of the "+
			"stack's own go to EventBridge anyway", errFlag, stack.Name())
	}
	return err
}

// ready opens the stack, and makes sure that it can be deployed.
func (o *deployOptions) ready(cmd *cobra.Command) (*operate.Stack, *deployView, error) {
	u := newUI(cmd, &o.commonFlags)
	stack, view, unopened := o.open(cmd)
	if errors.Is(unopened, operate.ErrNoStack) || errors.Is(unopened, operate.ErrCanceled) {
		return nil, nil, unopened // no check would say more
	}
	if !o.yes && !u.interactive() {
		return nil, nil, fmt.Errorf("%w: whether to deploy (--yes says yes)", errNoAnswer)
	}
	if unopened == nil && o.enableEventBridge {
		if err := o.adopted(cmd.Context(), stack); err != nil {
			return nil, nil, err
		}
	}
	if !o.skipDoctor {
		if err := o.doctor(cmd.Context(), u); err != nil {
			return nil, nil, err
		}
	}
	return stack, view, unopened
}

// doctor runs the checks, and asks whether to go on where that is possible.
func (o *deployOptions) doctor(ctx context.Context, u *ui) error {
	options := operate.DoctorOptions{Stack: o.stackOptions(ctx), EnableEventBridge: o.enableEventBridge, OnCheck: func(c operate.Check) {
		if c.Status != operate.CheckOK {
			u.check(c)
		}
	}}
	u.progress("checking what a deployment needs ...")
	diagnosis, err := operate.Doctor(ctx, options)
	u.rest()
	if err != nil {
		return err
	}
	if diagnosis.Ready() {
		u.say("✓ %s: nothing stands in the way of a deployment", passed(diagnosis))
		return nil
	}
	if o.yes || !u.interactive() { // a yes to what was asked is none to what was found
		return fmt.Errorf("%w (see `upload-router doctor`; --skip-doctor goes on)", verdict(diagnosis))
	}
	u.say("")
	return u.confirm(ctx, failures(diagnosis)+". Go on all the same?")
}

func (o *deployOptions) destroy(cmd *cobra.Command) error {
	ctx := cmd.Context()
	stack, view, err := o.open(cmd)
	if err != nil {
		return err
	}
	total, err := stack.Resources(ctx)
	if err != nil {
		return err
	}
	if total == 0 {
		view.say("Nothing of %s is deployed.", stack.Name())
	}
	if total > 0 {
		if err := view.warn(ctx, stack); err != nil {
			return err
		}
	}
	if !o.yes && total > 0 {
		if err := view.confirm(ctx, fmt.Sprintf("Delete %d resources of %s for good?", total, stack.Name())); err != nil {
			return err
		}
	}
	_, err = view.run(ctx, operate.OperationDestroy, stack.Destroy, total, o.message)
	return err
}

// warn says what would be lost, and refuses what would fail halfway: a yes to
// deleting is none to deleting all but what was to be deleted.
func (v *deployView) warn(ctx context.Context, stack *operate.Stack) error {
	v.progress("looking for data ...")
	holdings, err := stack.Holdings(ctx)
	v.rest()
	if err != nil {
		return err
	}
	kept := stack.Kept(holdings)
	if v.json {
		if err := v.event(map[string]any{"kind": "holdings", "holdings": holdings}); err != nil || kept == nil {
			return err
		}
		return errors.Join(kept, v.event(outcomeOf(operate.OperationDestroy, operate.Result{Changes: map[string]int{}}, kept)))
	}
	v.say("What holds data:")
	for _, h := range holdings {
		v.holding(h)
	}
	v.say("")
	return kept
}

func (v *deployView) holding(h operate.Holding) {
	content := h.Content
	if h.Error != "" {
		content = "could not be counted: " + h.Error
		if h.Kept {
			content += ". It isn't deployed with forceDestroy: if there is something in it, destroy fails there, when all else is deleted."
		}
	}
	v.labeled("  %-18s ", h.What, h.Name)
	if content != "" {
		v.wrapped(strings.Repeat(" ", 21), content)
	}
}

// deployView shows operations.
type deployView struct {
	*ui
	prefix string   // of the names that the program gives to resources
	warned []string // what was said already
}

// live is the state of the line that shows the progress.
type live struct {
	mu      sync.Mutex
	started time.Time
	done    int
	total   int
	current []string
}

// outcome is the last event of the JSON stream.
type outcome struct {
	Kind      string            `json:"kind"`
	Operation operate.Operation `json:"operation"`
	Succeeded bool              `json:"succeeded"`
	operate.Result
	Failures []operate.Failure `json:"failures,omitempty"`
	Error    string            `json:"error,omitempty"`
}

// run runs an operation and shows it.
func (v *deployView) run(
	ctx context.Context, name operate.Operation,
	operation func(context.Context, operate.DeployOptions) (operate.Result, error), total int, message string,
) (operate.Result, error) {
	l := &live{started: time.Now(), total: total}
	show := func() { v.progress("%s", l.line(name, ctx.Err() != nil)) }
	show()
	stop := every(time.Second, show)
	unhook := context.AfterFunc(ctx, func() {
		v.wrapped("", "Canceling: waiting for what is under way. Ctrl-C again ends at once, and may leave resources behind.")
	})
	var broken error
	result, err := operation(ctx, operate.DeployOptions{Total: total, Message: message, OnEvent: func(e operate.DeployEvent) {
		if v.json {
			broken = errors.Join(broken, v.event(e))
			return
		}
		l.take(e)
		v.step(e)
	}})
	unhook()
	stop()
	v.rest()
	if v.json {
		broken = errors.Join(broken, v.event(outcomeOf(name, result, err)))
	} else if err == nil {
		v.say("✓ %s: %s in %s", name, counts(name, result.Changes), elapsed(result.Duration))
	}
	return result, errors.Join(err, broken)
}

func outcomeOf(name operate.Operation, result operate.Result, err error) outcome {
	end := outcome{Kind: "outcome", Operation: name, Succeeded: err == nil, Result: result}
	if failed, ok := errors.AsType[*operate.DeploymentError](err); ok {
		end.Failures = failed.Failures
	}
	if err != nil {
		end.Error, _, _ = strings.Cut(err.Error(), "\n")
	}
	return end
}

func (l *live) take(e operate.DeployEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = e.Done
	if e.Resource == nil || e.Kind != operate.EventResource || grouping(e.Resource.Type) {
		return
	}
	what := shortType(e.Resource.Type)
	if e.State == operate.ResourceStarted {
		l.current = append(l.current, what)
		return
	}
	if i := slices.Index(l.current, what); i >= 0 {
		l.current = slices.Delete(l.current, i, i+1)
	}
}

func (l *live) line(name operate.Operation, canceling bool) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	progress := fmt.Sprintf("%d done", l.done)
	if l.total > 0 {
		progress = fmt.Sprintf("%d/%d", l.done, l.total)
	}
	verb := string(name)
	if canceling {
		verb = "canceling " + verb
	}
	line := fmt.Sprintf("%s  %s  %s", verb, progress, elapsed(time.Since(l.started).Truncate(time.Second)))
	if n := len(l.current); n > 0 {
		line += "  " + strings.Join(l.current[max(0, n-3):], ", ")
		if n > 3 {
			line += fmt.Sprintf(" and %d more", n-3)
		}
	}
	return line
}

// step prints what a person should still see later.
func (v *deployView) step(e operate.DeployEvent) {
	if e.Kind == operate.EventMessage {
		if e.Severity == "warning" && !slices.Contains(v.warned, e.Message) {
			v.warned = append(v.warned, e.Message) // the deployment repeats what its preview said
			v.wrapped("! ", e.Message)
		}
		return // errors are shown at the end, with their causes
	}
	if e.Resource == nil || e.Action == "same" || e.Action == "read" || grouping(e.Resource.Type) {
		return
	}
	marks := map[operate.ResourceState]string{operate.ResourceDone: "✓", operate.ResourceFailed: "✗"}
	mark, shown := marks[e.State]
	if !shown {
		return
	}
	if e.Operation == operate.OperationPreview {
		mark = " "
	}
	if e.Operation == operate.OperationRefresh && len(e.Keys) == 0 && e.State == operate.ResourceDone && e.Action == "refresh" {
		return // nothing new about it
	}
	v.resource(mark, e)
}

// resource prints what is done to a resource.
func (v *deployView) resource(mark string, e operate.DeployEvent) {
	// The program's own prefix says nothing in a list of one stack.
	name := strings.TrimPrefix(e.Resource.Name, v.prefix)
	column := typeColumn
	if v.screen && v.width() < wholeTypes {
		column = narrowColumn
	}
	v.say("%s %-*s %-*s %s", mark, actionColumn, e.Action, column, runewidth.Truncate(shortType(e.Resource.Type), column, "…"), name)
	if len(e.Keys) > 0 {
		v.wrapped(strings.Repeat(" ", actionColumn+3), "("+strings.Join(e.Keys, ", ")+")")
	}
}

// The columns of the resources.
const (
	actionColumn = len("replace")
	typeColumn   = len("s3 BucketServerSideEncryptionConfiguration") // the longest
	narrowColumn = 34                                                // leaves room for the longest name within 80
	wholeTypes   = 96                                                // the columns from which on there is room for both
)

// grouping says that a type only holds others together: AWS knows nothing of it.
func grouping(typ string) bool {
	return strings.HasPrefix(typ, "upload-router:components:") || typ == "pulumi:pulumi:Stack"
}

// shortType is a type without what every one has, and without the provider's
// version of it: aws:s3/bucketV2:BucketV2 is s3 Bucket.
func shortType(typ string) string {
	parts := strings.Split(typ, ":")
	if len(parts) != 3 {
		return typ
	}
	module, _, _ := strings.Cut(parts[1], "/")
	return module + " " + strings.TrimSuffix(parts[2], "V2")
}

// counts says how many resources had what done to them, or would have.
func counts(operation operate.Operation, changes map[string]int) string {
	done := map[string]string{
		"same": "unchanged", "create": "created", "update": "updated", "delete": "deleted", "replace": "replaced", "refresh": "looked at",
	}
	parts := make([]string, 0, len(changes))
	for _, action := range slices.Sorted(maps.Keys(changes)) {
		word, known := done[action]
		if !known || operation == operate.OperationPreview && action != "same" {
			word = "to " + action
		}
		parts = append(parts, fmt.Sprintf("%d %s", changes[action], word))
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
