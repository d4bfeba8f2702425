package operate

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/dustin/go-humanize"

	"example.com/upload-router/internal/files"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/tempfolder"
)

const (
	// verifyPrefix is where the files of a verification go in the bucket.
	verifyPrefix = "upload-router-verify/"
	// largestProof is how large a file is made and uploaded for a proof.
	largestProof = 5 << 30
	cleanTime    = time.Minute
)

// VerifyOptions configure [System.Verify].
type VerifyOptions struct {
	// StartTimeout is how long an execution may take to start after the upload.
	// Default: 10 minutes, for a new bucket's events take about five to arrive (requirement C39).
	StartTimeout time.Duration
	// Timeout is for all of it. Default: an hour.
	Timeout time.Duration
	// Files are what to upload, as [TestData] finds it. Default: a file for each route, made to take it.
	Files []Sent
	// OnFile hears of each change of a file, OnCheck of each check as it ends. Default: nobody.
	OnFile  func(Sent)
	OnCheck func(Check)
}

// Verification is what [System.Verify] found.
type Verification struct {
	// Files are the files: those that were given, or one a route.
	Files []Sent `json:"files"`
	// Checks are what was to be proved.
	Checks []Check `json:"checks"`
	// Unproved are the routes that none of the files took.
	Unproved []string `json:"unproved,omitempty"`
	// Diagnosis are the links between an upload and its result, walked after a failure (requirements A42 to A46).
	Diagnosis []Check `json:"diagnosis,omitempty"`
}

// Passed says whether all was as it should be.
func (v Verification) Passed() bool {
	return !slices.ContainsFunc(v.Checks, func(c Check) bool { return c.Status == CheckFailed })
}

// Broken are the links that are broken.
func (v Verification) Broken() []Check {
	return slices.DeleteFunc(slices.Clone(v.Diagnosis), func(c Check) bool { return c.Status != CheckFailed })
}

// proof is one file of a verification, and what should become of it.
type proof struct {
	name, sha256 string
	key          string // in the bucket
	title        string // of its checks
	size         int64
	route        machine.Route
}

// verifier gathers checks.
type verifier struct {
	*System
	checks

	options  VerifyOptions
	result   Verification
	messages int64 // in the dead-letter queue before
}

// Verify is the smoke test of requirement A40, of all routes: it uploads a file for each, made to take it by key and size, follows
// them to their ends, and looks at outcome, route and digest, at the alarms and the dead-letter queue. Then it deletes
// every version of them. After a failure it walks the links between an upload and its result and says which one is broken.
//
// What is wrong with the system is in the [Verification]; the error is for what keeps it from being looked at.
func (s *System) Verify(ctx context.Context, options VerifyOptions) (Verification, error) {
	options.StartTimeout = cmp.Or(options.StartTimeout, defaultStartTimeout)
	options.Timeout = cmp.Or(options.Timeout, time.Hour)
	limited, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	v := &verifier{System: s, checks: checks{onCheck: options.OnCheck}, options: options}
	err := v.run(ctx, limited)
	v.result.Checks = v.done
	if late(ctx, limited) {
		err = fmt.Errorf("%w: the files were not through within %s", ErrTimeout, options.Timeout)
	}
	return v.result, err
}

// late says whether it was the limit that ended something.
func late(ctx, limited context.Context) bool { return limited.Err() != nil && ctx.Err() == nil }

// run does all of it by the limited context, and looks at what became of it by the other.
func (v *verifier) run(parent, ctx context.Context) error {
	var err error
	if v.messages, err = v.DeadLetterCount(ctx); err != nil {
		return err
	}
	made, err := tempfolder.Make("", "upload-router-verify-")
	if err != nil {
		return fmt.Errorf("making the files: %w", err)
	}
	defer func() { _ = made.Remove() }() // in the system's folder for such files
	folder, resume := filepath.Join(made.Path(), "files"), filepath.Join(made.Path(), "resume")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("making the files: %w", err)
	}
	prefix := verifyPrefix + time.Now().UTC().Format("20060102T150405Z") + "-" + rand.Text()[:6] + "/"
	proofs, err := v.proofs(ctx, folder, prefix)
	if err != nil {
		return err
	}
	sent, err := v.sendProofs(ctx, proofs, folder, resume)
	v.result.Files = sent
	seen := err == nil || late(parent, ctx) && len(sent) == len(proofs)
	looking, cancel := context.WithTimeout(parent, cleanTime)
	defer cancel()
	if seen {
		v.judge(looking, proofs)
	}
	// Whatever happened, and even if the user has had enough.
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	v.clean(clean, proofs, prefix)
	if v.result.Checks = v.done; seen && !v.result.Passed() {
		v.diagnose(looking)
	}
	return err
}

// sendProofs sends the files of a folder, each by a key that the system takes.
func (v *verifier) sendProofs(ctx context.Context, proofs []proof, folder, resume string) ([]Sent, error) {
	options, err := SendOptions{
		StartTimeout: v.options.StartTimeout, OnFile: v.options.OnFile, ResumeFolder: resume,
	}.withDefaults()
	if err != nil {
		return nil, err
	}
	found, err := CollectFiles(ctx, []string{folder}, "")
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		for _, p := range proofs {
			if p.name == f.Key {
				found[i].Key = p.key
			}
		}
	}
	return v.send(ctx, found, options)
}

// proofs puts the files into the folder that is sent: links to those that were given, or one for each route that is made to take it.
func (v *verifier) proofs(ctx context.Context, folder, prefix string) ([]proof, error) {
	if len(v.options.Files) > 0 {
		return v.givenProofs(ctx, folder, prefix)
	}
	var proofs []proof
	line := "upload-router verify " + rand.Text() + "\n" // which no other verification has
	if _, err := v.fit(prefix); err != nil {
		return nil, err
	}
	samples, _ := machine.Samples(v.Outputs.routes, prefix, largestProof+1, v.Outputs.filter().Fits)
	for _, sample := range samples {
		p := proof{name: sample.Name, key: sample.Key, title: sample.Route.Name, size: sample.Size, route: sample.Route}
		var err error
		if p.sha256, err = files.WriteRepeated(filepath.Join(folder, p.name), line, p.size); err != nil {
			return nil, err
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}

// givenProofs are those of the files that were given. A route that none of them takes isn't proved, which is said.
func (v *verifier) givenProofs(ctx context.Context, folder, prefix string) ([]proof, error) {
	var proofs []proof
	for _, f := range v.options.Files {
		if f.Error != "" {
			return nil, fmt.Errorf("%w: %s: %s", ErrInput, f.File, f.Error)
		}
		digest, size, err := digestOfFile(ctx, f.File)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.File, err)
		}
		target, err := filepath.Abs(f.File)
		if err != nil {
			return nil, fmt.Errorf("finding %s: %w", f.File, err)
		}
		link := filepath.Join(folder, filepath.FromSlash(f.Key))
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o700), os.Symlink(target, link)); err != nil {
			return nil, fmt.Errorf("linking %s: %w", f.File, err)
		}
		key, err := v.fit(prefix + f.Key)
		if err != nil {
			return nil, err
		}
		route := v.Outputs.routes.of(key, size)
		proofs = append(proofs, proof{name: f.Key, key: key, title: f.Key + ": " + route.Name, sha256: digest, size: size, route: route})
	}
	return proofs, nil
}

// fit is a key that the system takes.
func (v *verifier) fit(key string) (string, error) {
	keys := v.Outputs.filter()
	fitted := keys.Fit(key)
	if fitted == "" {
		return "", fmt.Errorf("%w: no glob of keys has room for %s, and whatever has another key isn't taken: %s", ErrInput, key, keys)
	}
	return fitted, nil
}

// digestOfFile is the SHA-256 of a file, and its size.
func digestOfFile(ctx context.Context, path string) (digest string, size int64, err error) {
	content, err := files.Open(ctx, path)
	if err != nil {
		return "", 0, err //nolint:wrapcheck // It says it all.
	}
	defer func() { _ = content.Close() }() // nothing was written
	sum := sha256.New()
	if _, err := io.Copy(sum, content.Reader()); err != nil {
		return "", 0, err //nolint:wrapcheck // As above.
	}
	return hex.EncodeToString(sum.Sum(nil)), content.Size(), nil
}

// unproved says of each route that none of the files took.
func (v *verifier) unproved(proofs []proof) {
	for _, route := range v.Outputs.routes {
		if slices.ContainsFunc(proofs, func(p proof) bool { return p.route.Name == route.Name }) {
			continue
		}
		found := "no file of " + TestDataFolder + " goes there"
		if len(v.options.Files) == 0 {
			found = "no file of up to " + humanize.IBytes(largestProof) + " below " + verifyPrefix + " goes there: put some into " + TestDataFolder
		}
		v.result.Unproved = append(v.result.Unproved, route.Name)
		v.unknown(route.Name+" route", found, "nothing was proved of it", "")
	}
}

// judge looks at what became of the files, and at what should have stayed quiet.
func (v *verifier) judge(ctx context.Context, proofs []proof) {
	for _, p := range proofs {
		i := slices.IndexFunc(v.result.Files, func(f Sent) bool { return f.Key == p.key })
		v.outcome(p, v.result.Files[i])
		if v.result.Files[i].State == FileSucceeded {
			v.digest(ctx, p, v.result.Files[i])
		}
	}
	v.unproved(proofs)
	v.quietQueue(ctx)
	v.quietAlarms(ctx)
}

// outcome looks at the execution and its route.
func (v *verifier) outcome(p proof, f Sent) {
	name, why := p.title+" route", "a file of "+plural(p.size, "byte")+" must be processed there"
	switch {
	case f.State != FileSucceeded && f.Execution != nil:
		v.failed(name, f.Error, why, "upload-router show "+f.Execution.Name)
	case f.State != FileSucceeded:
		v.failed(name, strings.TrimSuffix(f.Error, whatVerifies), why, "")
	case f.Execution.Route != p.route.Name:
		v.failed(name, "it went to "+f.Execution.Route, why, "upload-router up: the state machine isn't the declared one")
	default:
		v.ok(name, fmt.Sprintf("%s, SUCCEEDED in %s", plural(p.size, "byte"), f.Execution.Duration.Round(time.Millisecond)))
	}
}

// digest compares what the processor read with what was uploaded. The answer is in the execution, or in the ledger alone: of a task whose
// end is only waited for, and of a run whose own answer was lost.
func (v *verifier) digest(ctx context.Context, p proof, f Sent) {
	name, why := p.title+" digest", "the processor must have read exactly what was uploaded"
	digest, err := digestOf(f.Execution.Answer), error(nil)
	if digest == "" {
		var item ledger.Item
		item, _, err = v.ledger().Get(ctx, f.Execution.upload())
		digest, err = digestOf(item.Result), v.ledgerRefused(err)
	}
	switch {
	case digest == p.sha256:
		v.ok(name, "SHA-256 "+digest[:16]+"…, that of the file")
	case digest != "":
		v.failed(name, fmt.Sprintf("SHA-256 %s, and the file has %s", digest, p.sha256), why, "")
	case err != nil:
		v.unknown(name, err.Error(), why, "")
	default:
		v.unknown(name, "neither the answer nor the ledger has a sha256: is the processor another one?", why, "")
	}
}

// digestOf is the SHA-256 in a processor's answer.
func digestOf(answer []byte) string {
	var result struct {
		SHA256 string `json:"sha256"`
	}
	_ = json.Unmarshal(answer, &result) // another processor's has none
	return result.SHA256
}

func (v *verifier) quietQueue(ctx context.Context) {
	const name, why, fix = "Dead-letter queue", "what is in it was never processed", "upload-router redrive --dlq"
	switch n, err := v.DeadLetterCount(ctx); {
	case err != nil:
		v.unknown(name, err.Error(), why, fix)
	case n > v.messages:
		v.failed(name, plural(n-v.messages, "event")+" came during the test", why, fix)
	case n > 0:
		v.failed(name, plural(n, "event")+" from before the test", why, fix)
	default:
		v.ok(name, nothingInIt)
	}
}

func (v *verifier) quietAlarms(ctx context.Context) {
	const name, why = "Alarms", "they say that something is wrong"
	switch ringing, err := v.ringing(ctx); {
	case err != nil:
		v.unknown(name, err.Error(), why, "")
	case len(ringing) > 0:
		v.failed(name, "in alarm: "+strings.Join(ringing, ", "), why, "upload-router executions --status failed")
	default:
		v.ok(name, "quiet")
	}
}

// ringing are the system's alarms that are in alarm.
func (s *System) ringing(ctx context.Context) ([]string, error) {
	mine := []string{
		s.Outputs.StateMachineARN, lastPart(s.Outputs.DeadLetterQueueURL, "/"), lastPart(s.Outputs.LambdaFunctionARN, ":"),
		lastPart(s.Outputs.ECSClusterARN, "/"), s.Outputs.RuleName,
	}
	// Not every alarm is of something that the outputs name; those that the stack made have names beside its rule's.
	prefix, _, found := strings.Cut(s.Outputs.RuleName, "-uploads-rule")
	if prefix += "-alarms-"; !found {
		prefix = ""
	}
	pages := cloudwatch.NewDescribeAlarmsPaginator(s.alarms, &cloudwatch.DescribeAlarmsInput{StateValue: cwtypes.StateValueAlarm})
	var names []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, asked("asking for the alarms", err)
		}
		for _, alarm := range page.MetricAlarms {
			dimensions := alarm.Dimensions
			for _, m := range alarm.Metrics {
				if m.MetricStat != nil && m.MetricStat.Metric != nil {
					dimensions = append(dimensions, m.MetricStat.Metric.Dimensions...)
				}
			}
			if prefix != "" && strings.HasPrefix(aws.ToString(alarm.AlarmName), prefix) ||
				slices.ContainsFunc(dimensions, func(d cwtypes.Dimension) bool { return slices.Contains(mine, aws.ToString(d.Value)) }) {
				names = append(names, aws.ToString(alarm.AlarmName))
			}
		}
	}
	return names, nil
}

// clean deletes every version of the files, unless an execution still needs them.
func (v *verifier) clean(ctx context.Context, proofs []proof, prefix string) {
	const name = "Files removed"
	var folders []string // one, unless several globs of keys have taken the files
	for _, p := range proofs {
		if before, _, sent := strings.Cut(p.key, prefix); sent && !slices.Contains(folders, before+prefix) {
			folders = append(folders, before+prefix)
		}
	}
	if folders == nil {
		return // nothing was sent
	}
	const each = "aws s3 rm --recursive s3://"
	in := v.Outputs.BucketName + "/"
	where, remove := "s3://"+in+strings.Join(folders, ", s3://"+in), each+in+strings.Join(folders, " && "+each+in)
	if slices.ContainsFunc(v.result.Files, func(f Sent) bool {
		return (f.VersionID != "" || f.ETag != "") && (f.Execution == nil || !f.Execution.Ended())
	}) {
		v.unknown(name, where+" is kept: an execution may still start, or runs", "it would fail for want of its file", remove)
		return
	}
	var n int64
	for _, below := range folders {
		deleted, err := v.deleteVersions(ctx, below)
		if n += deleted; err != nil {
			v.failed(name, err.Error(), "they are paid for", remove)
			return
		}
	}
	v.ok(name, plural(n, "version"))
}

// deleteVersions deletes all versions below a prefix.
func (s *System) deleteVersions(ctx context.Context, prefix string) (int64, error) {
	var n int64
	for page, err := range s.versions(ctx, prefix) {
		if err != nil {
			return n, err
		}
		for _, object := range page.Versions {
			_, err := s.objects.DeleteObject(ctx, &s3.DeleteObjectInput{
				Bucket: &s.Outputs.BucketName, Key: object.Key, VersionId: object.VersionId,
			})
			if err != nil {
				return n, asked("deleting "+aws.ToString(object.Key), err)
			}
			n++
		}
	}
	return n, nil
}
