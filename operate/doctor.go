package operate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/blang/semver"

	"example.com/upload-router/internal/awsquery"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/settings"
)

// CheckStatus is how a check ended.
type CheckStatus string

// How a check can end.
const (
	// CheckOK is that all is well.
	CheckOK CheckStatus = "ok"
	// CheckFailed is that a deployment would fail, or that nobody would hear if something that is protected does.
	CheckFailed CheckStatus = "failed"
	// CheckUnknown is that it can't be told, such as for want of a permission; a deployment may succeed.
	CheckUnknown CheckStatus = "unknown"
)

// Check is one thing that a deployment needs.
type Check struct {
	// Name is what was looked at, Found what was seen.
	Name  string `json:"name"`
	Found string `json:"found"`
	// Status is how it ended.
	Status CheckStatus `json:"status"`
	// Why says what needs it, Fix is the one command, or the page, that fixes it. Only if not ok.
	Why string `json:"why,omitempty"`
	Fix string `json:"fix,omitempty"`
}

// Diagnosis is what [Doctor] found.
type Diagnosis struct {
	Checks []Check `json:"checks"`
}

// Ready says whether nothing stands in the way of a deployment.
func (d Diagnosis) Ready() bool {
	for _, c := range d.Checks {
		if c.Status == CheckFailed {
			return false
		}
	}
	return true
}

// DoctorOptions configure [Doctor].
type DoctorOptions struct {
	// Stack is what would be deployed.
	Stack StackOptions
	// OnCheck hears of each check as it ends, in order. Default: nobody.
	OnCheck func(Check)
	// Timeout is for one check. Default: 15 s.
	Timeout time.Duration
}

// The least versions. Go's is the one in go.mod.
var goVersion = regexp.MustCompile(`go(\d+\.\d+(?:\.\d+)?)`)

const leastGo = "1.26.6"

// Doctor looks for all that a deployment needs before it starts (requirements
// A9 and A10): tools, project, configuration, credentials, Region, network,
// free names, whoever is to hear of failures, quotas, and the deployer's permissions. Whatever is missing is
// a failed check and not an error.
func Doctor(ctx context.Context, options DoctorOptions) (Diagnosis, error) {
	if options.Timeout == 0 {
		options.Timeout = 15 * time.Second
	}
	d := &doctor{options: options}
	for _, look := range []func(context.Context){
		d.golang, d.pulumi, d.project, d.docker, d.credentials, d.region, d.network, d.names, d.notices, d.vpcQuota,
		d.fargateQuota, d.concurrency, d.spotRole, d.permissions,
	} {
		look(ctx)
		if ctx.Err() != nil {
			return d.diagnosis, fmt.Errorf("looking at what a deployment needs: %w", ErrCanceled)
		}
	}
	return d.diagnosis, nil
}

// doctor gathers checks. Later checks need what earlier ones found.
type doctor struct {
	options   DoctorOptions
	diagnosis Diagnosis

	noPulumi bool // its CLI can't be used
	stack    *Stack
	outputs  *Outputs
	owned    map[string][]string // the ids of what the stack has, by type, although it may not be deployed whole
	config   map[string]string
	settings *settings.Settings
	aws      *aws.Config
	account  string
	caller   string // the ARN of whose credentials they are
	nowhere  bool   // the Region has no address
}

func (d *doctor) add(c Check) {
	d.diagnosis.Checks = append(d.diagnosis.Checks, c)
	if d.options.OnCheck != nil {
		d.options.OnCheck(c)
	}
}

func (d *doctor) ok(name, found string) { d.add(Check{Name: name, Found: found, Status: CheckOK}) }

func (d *doctor) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d.options.Timeout)
}

func (d *doctor) golang(ctx context.Context) {
	const why = "it compiles the processors and the Pulumi program"
	const fix = "https://go.dev/doc/install"
	ctx, cancel := d.limited(ctx)
	defer cancel()
	output, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	if err != nil {
		d.add(Check{Name: "Go", Found: "not found: " + shorten(err.Error()), Status: CheckFailed, Why: why, Fix: fix})
		return
	}
	text := strings.TrimSpace(string(output))
	found := goVersion.FindStringSubmatch(text)
	if found == nil {
		d.add(Check{Name: "Go", Found: text, Status: CheckUnknown, Why: why, Fix: fix})
		return
	}
	have, err := semver.ParseTolerant(found[1])
	least := semver.MustParse(leastGo)
	if err == nil && have.LT(least) {
		d.add(Check{Name: "Go", Found: text + ", and it takes " + leastGo, Status: CheckFailed, Why: why, Fix: fix})
		return
	}
	d.ok("Go", text)
}

func (d *doctor) pulumi(ctx context.Context) {
	const why = "it deploys, and keeps what is deployed"
	const fix = "https://www.pulumi.com/docs/iac/download-install/"
	ctx, cancel := d.limited(ctx)
	defer cancel()
	command, err := findPulumi(ctx, nil)
	d.noPulumi = err != nil || command.version.LT(semver.MustParse(MinimumPulumi))
	if err != nil {
		d.add(Check{Name: "Pulumi CLI", Found: without(err, ErrNotReady), Status: CheckFailed, Why: why, Fix: fix})
		return
	}
	if d.noPulumi {
		d.add(Check{
			Name: "Pulumi CLI", Found: command.version.String() + ", and it takes " + MinimumPulumi, Status: CheckFailed, Why: why, Fix: fix,
		})
		return
	}
	d.ok("Pulumi CLI", command.version.String())
}

// without is an error's text without the kind that it begins with.
func without(err, kind error) string { return strings.TrimPrefix(err.Error(), kind.Error()+": ") }

// project looks at the stack and its configuration.
func (d *doctor) project(ctx context.Context) {
	const name = "Stack"
	if d.noPulumi {
		d.add(Check{
			Name: name, Found: "not checked without the Pulumi CLI", Status: CheckUnknown, Why: "it holds the configuration and what is deployed",
			Fix: "see what is said of the Pulumi CLI",
		})
		return
	}
	// Pulumi's own start takes its time, and a backend may be far away.
	ctx, cancel := context.WithTimeout(ctx, 4*d.options.Timeout)
	defer cancel()
	stack, err := OpenStack(ctx, d.options.Stack)
	if err != nil {
		check := Check{Name: name, Found: err.Error(), Status: CheckFailed, Why: "it holds the configuration and what is deployed"}
		check.Fix = likelyCause(err.Error())
		if errors.Is(err, ErrNoStack) {
			check.Found, check.Fix = "there is no stack "+d.options.Stack.Name, "upload-router init --stack "+d.options.Stack.Name
			if d.options.Stack.Name == "" {
				check.Found, check.Fix = without(err, ErrNoStack), "upload-router init --stack dev"
			}
		}
		d.add(check)
		return
	}
	d.stack = stack
	if d.config, err = stack.Config(ctx); err != nil {
		d.add(Check{
			Name: name, Found: err.Error(), Status: CheckFailed,
			Why: "nothing can be checked without its configuration", Fix: likelyCause(err.Error()),
		})
		return
	}
	d.owned = stack.ids(ctx)
	if outputs, err := stack.Outputs(ctx); err == nil {
		d.outputs = &outputs
		d.ok(name, stack.Name()+", deployed")
	} else {
		d.ok(name, stack.Name()+", not deployed yet")
	}
	if d.settings, err = loadSettings(stack.Project(), d.config, settings.WithStack(stack.Name())); err != nil {
		invalid, isInvalid := errors.AsType[*settings.InvalidError](err)
		if !isInvalid {
			d.add(Check{
				Name: "Configuration", Found: err.Error(), Status: CheckFailed, Why: "a wrong one is refused", Fix: "pulumi config",
			})
			return
		}
		for _, p := range invalid.Problems {
			d.add(Check{
				Name: "Configuration", Found: p.String(), Status: CheckFailed, Why: "a wrong value is refused before anything is made",
				Fix: p.Fix.String(),
			})
		}
		return
	}
	d.ok("Configuration", "valid")
}

// docker looks for the daemon, unless an image is given (requirement A9).
func (d *doctor) docker(ctx context.Context) {
	if d.settings != nil && d.settings.Image != "" {
		d.ok("Image", d.settings.Image)
		return
	}
	ctx, cancel := d.limited(ctx)
	defer cancel()
	output, err := exec.CommandContext(ctx, "docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput()
	if err == nil {
		d.ok("Docker", "server "+strings.TrimSpace(string(output)))
		return
	}
	found := "not found on PATH"
	if !errors.Is(err, exec.ErrNotFound) {
		found = "not running: " + shorten(string(output))
	}
	d.add(Check{
		Name: "Docker", Found: found, Status: CheckFailed,
		Why: "it builds and pushes the task's image, unless `image` names one that you have pushed",
		Fix: "https://docs.docker.com/get-docker/, or: pulumi config set image REPOSITORY@sha256:DIGEST",
	})
}

func (d *doctor) regionName() string {
	if region := d.config[keyRegion]; region != "" {
		return region
	}
	if d.aws != nil {
		return d.aws.Region
	}
	return ""
}

func (d *doctor) credentials(ctx context.Context) {
	const name, why = "Credentials", "everything is made in the account that they belong to"
	const fix = "aws configure sso, aws sso login, or export AWS_PROFILE=..."
	ctx, cancel := d.limited(ctx)
	defer cancel()
	cfg, err := LoadAWS(ctx, d.config[keyRegion], d.config["aws:profile"])
	if err != nil {
		d.add(Check{Name: name, Found: shorten(without(err, ErrNotReady)), Status: CheckFailed, Why: why, Fix: fix})
		return
	}
	d.aws = &cfg
	region := cfg.Region
	if region == "" {
		d.aws.Region = "us-east-1" // STS answers there; the Region's own check says that it is missing
	}
	identity, err := sts.NewFromConfig(*d.aws).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	d.aws.Region = region
	if err != nil {
		d.aws = nil
		if _, unknown := errors.AsType[*net.DNSError](err); unknown { // which says nothing of the credentials
			d.nowhere = true
			d.add(Check{
				Name: name, Found: "not checked: " + shorten(lastCause(err)), Status: CheckUnknown, Why: why, Fix: "see what is said of the Region",
			})
			return
		}
		failure := Check{Name: name, Found: shorten(lastCause(err)), Status: CheckFailed, Why: why, Fix: fix}
		if strings.Contains(err.Error(), "no EC2 IMDS role found") { // the last place where the SDK looks
			failure.Found = "no credentials found: not in the environment, in no profile, and not those of a container or an instance"
		}
		if found := causeOf(err); found != "" {
			failure.Fix = found
		}
		d.add(failure)
		return
	}
	d.account, d.caller = aws.ToString(identity.Account), aws.ToString(identity.Arn)
	d.ok(name, "account "+d.account+", "+lastPart(aws.ToString(identity.Arn), ":"))
	if d.outputs != nil && d.outputs.AccountID() != d.account {
		d.add(Check{
			Name: "Account", Found: "the stack is deployed in " + d.outputs.AccountID(), Status: CheckFailed,
			Why: "another account has none of what is deployed", Fix: "export AWS_PROFILE=... of the account " + d.outputs.AccountID(),
		})
	}
}

func (d *doctor) region(ctx context.Context) {
	const name, why, fix = "Region", "everything is made there", "pulumi config set aws:region eu-central-1"
	region := d.regionName()
	if region == "" {
		d.add(Check{Name: name, Found: "none is set", Status: CheckFailed, Why: why, Fix: fix})
		return
	}
	if d.outputs != nil && d.outputs.Region() != region {
		d.add(Check{
			Name: name, Found: region + ", and the stack is deployed in " + d.outputs.Region(), Status: CheckFailed,
			Why: "a stack can't move: all would be made anew, and the old left behind", Fix: "pulumi config set aws:region " + d.outputs.Region(),
		})
		return
	}
	if d.nowhere {
		d.add(Check{
			Name: name, Found: region + ": there is no such Region, or this machine has no network", Status: CheckFailed, Why: why, Fix: fix,
		})
		return
	}
	if d.aws == nil {
		d.add(Check{
			Name: name, Found: region + ", not checked without credentials", Status: CheckUnknown, Why: why,
			Fix: "see what is said of the credentials",
		})
		return
	}
	d.aws.Region = region
	ctx, cancel := d.limited(ctx)
	defer cancel()
	regions, err := awsquery.NewEC2(*d.aws).DescribeRegion(ctx, region)
	switch {
	case hasCode(err, "InvalidParameterValue"), err != nil && strings.Contains(err.Error(), "no such host"):
		d.add(Check{Name: name, Found: region + " is no Region of AWS", Status: CheckFailed, Why: why, Fix: fix})
		d.aws = nil
	case err != nil:
		d.unknown(name, region, actionRegion, err)
	case len(regions) == 1 && regions[0].OptInStatus == "not-opted-in":
		d.add(Check{
			Name: name, Found: region + " isn't enabled for the account", Status: CheckFailed, Why: why,
			Fix: "aws account enable-region --region-name " + region,
		})
	default:
		d.ok(name, region)
	}
}

// The permissions that the checks ask AWS with.
const (
	actionRegion        = "ec2:DescribeRegions"
	actionVPCs          = "ec2:DescribeVpcs"
	actionSubnets       = "ec2:DescribeSubnets"
	actionBucket        = "s3:ListBucket"
	actionRepository    = "ecr:DescribeRepositories"
	actionMachine       = "states:DescribeStateMachine"
	actionSubscriptions = "sns:ListSubscriptionsByTopic"
	actionQuota         = "servicequotas:GetServiceQuota"
	actionAccount       = "lambda:GetAccountSettings"
	actionConcurrency   = "lambda:GetFunctionConcurrency"
	actionSimulate      = "iam:SimulatePrincipalPolicy"
	actionRole          = "iam:GetRole"
)

// DoctorPermissions are the permissions that [Doctor] asks AWS with. One that the
// credentials lack leaves its check unknown.
func DoctorPermissions() []string {
	return []string{
		actionRegion, actionVPCs, actionSubnets, actionBucket, actionRepository, actionMachine, actionSubscriptions, actionQuota, actionAccount,
		actionConcurrency, actionSimulate, actionRole,
	}
}

// unknown is for what AWS doesn't let us see. permission is what the request takes.
func (d *doctor) unknown(name, found, permission string, err error) {
	fix := fixAsking(err, "upload-router doctor, once more")
	response, _ := errors.AsType[*awshttp.ResponseError](err)
	if response != nil && (response.HTTPStatusCode() == http.StatusForbidden || strings.Contains(err.Error(), "AccessDenied")) {
		fix = "give the credentials the permission " + permission + ", or look there yourself"
	}
	d.add(Check{
		Name: name, Found: strings.TrimPrefix(found+": "+shorten(lastCause(err)), ": "),
		Status: CheckUnknown, Why: "it could not be asked; a deployment may succeed", Fix: fix,
	})
}

// network looks whether the task's network is there.
func (d *doctor) network(ctx context.Context) {
	if d.settings == nil || d.aws == nil {
		return
	}
	ctx, cancel := d.limited(ctx)
	defer cancel()
	client := awsquery.NewEC2(*d.aws)
	switch d.settings.Network {
	case settings.NetworkDefault:
		d.defaultVPC(ctx, client)
	case settings.NetworkExisting:
		d.existingVPC(ctx, client)
	case settings.NetworkCreate, settings.NetworkPrivate: // have a quota to be checked, nothing more
	}
}

func (d *doctor) defaultVPC(ctx context.Context, client *awsquery.EC2) {
	vpcs, err := client.DescribeVPCs(ctx, map[string]string{"is-default": "true"})
	const name = "Default VPC"
	switch {
	case err != nil:
		d.unknown(name, "", actionVPCs, err)
	case len(vpcs) == 0:
		d.add(Check{
			Name: name, Found: "there is none", Status: CheckFailed, Why: "the configuration asks for it: network is default",
			Fix: "aws ec2 create-default-vpc, or: pulumi config set network create",
		})
	default:
		d.ok(name, vpcs[0].ID)
	}
}

func (d *doctor) existingVPC(ctx context.Context, client *awsquery.EC2) {
	const name = "Subnets"
	found, err := client.DescribeSubnets(ctx, d.settings.SubnetIDs)
	if hasCode(err, "InvalidSubnetID.NotFound") {
		d.add(Check{
			Name: name, Found: lastCause(err), Status: CheckFailed, Why: "the task runs in them",
			Fix: "aws ec2 describe-subnets --filters Name=vpc-id,Values=" + d.settings.VPCID,
		})
		return
	}
	if err != nil {
		d.unknown(name, "", actionSubnets, err)
		return
	}
	for _, s := range found {
		if s.VPCID != d.settings.VPCID {
			d.add(Check{
				Name: name, Found: s.ID + " is in " + s.VPCID, Status: CheckFailed,
				Why: "the security group is in " + d.settings.VPCID, Fix: "pulumi config set vpcId " + s.VPCID,
			})
			return
		}
	}
	d.ok(name, strings.Join(d.settings.SubnetIDs, ", "))
}

// names looks whether the names that are asked for are free.
func (d *doctor) names(ctx context.Context) {
	if d.settings == nil || d.aws == nil {
		return
	}
	ctx, cancel := d.limited(ctx)
	defer cancel()
	if d.settings.BucketName != "" {
		d.bucketName(ctx)
	}
	if d.settings.ECRRepoName != "" {
		d.repositoryName(ctx)
	}
	if d.settings.StateMachineName != "" {
		d.machineName(ctx)
	}
}

func (d *doctor) bucketName(ctx context.Context) {
	name := d.settings.BucketName
	if slices.Contains(d.owned[declared.TypeBucket], name) {
		d.ok("Bucket's name", name+", this stack's")
		return
	}
	_, err := newS3(*d.aws).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
	taken := Check{
		Name: "Bucket's name", Status: CheckFailed, Why: "bucket names are unique in all of AWS",
		Fix: "pulumi config set bucketName " + name + "-" + d.account,
	}
	response, _ := errors.AsType[*awshttp.ResponseError](err)
	switch {
	case err == nil:
		taken.Found = name + " is taken, by a bucket of this account"
		d.add(taken)
	case response == nil:
		d.unknown(taken.Name, name, actionBucket, err)
	case response.HTTPStatusCode() == http.StatusNotFound:
		d.ok(taken.Name, name+" is free")
	case response.HTTPStatusCode() == http.StatusForbidden, response.HTTPStatusCode() == http.StatusMovedPermanently:
		taken.Found = name + " is taken, by somebody else or in another Region"
		d.add(taken)
	default:
		d.unknown(taken.Name, name, actionBucket, err)
	}
}

func (d *doctor) repositoryName(ctx context.Context) {
	name := d.settings.ECRRepoName
	if slices.Contains(d.owned[declared.TypeRepository], name) {
		d.ok("Repository's name", name+", this stack's")
		return
	}
	_, err := ecr.NewFromConfig(*d.aws).DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{name}})
	switch {
	case err == nil:
		d.add(Check{
			Name: "Repository's name", Found: name + " is taken", Status: CheckFailed, Why: "a name is one repository's in a Region",
			Fix: "pulumi config set ecrRepoName " + name + "-" + d.stack.Name(),
		})
	case hasCode(err, "RepositoryNotFoundException"):
		d.ok("Repository's name", name+" is free")
	default:
		d.unknown("Repository's name", name, actionRepository, err)
	}
}

func (d *doctor) machineName(ctx context.Context) {
	name := d.settings.StateMachineName
	if slices.ContainsFunc(d.owned[declared.TypeStateMachine], func(id string) bool { return strings.HasSuffix(id, ":"+name) }) {
		d.ok("State machine's name", name+", this stack's")
		return
	}
	own, _ := partition.OfRegion(d.aws.Region)
	arn := fmt.Sprintf("arn:%s:states:%s:%s:stateMachine:%s", own.Name, d.aws.Region, d.account, name)
	_, err := sfn.NewFromConfig(*d.aws).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &arn})
	switch {
	case err == nil:
		d.add(Check{
			Name: "State machine's name", Found: name + " is taken", Status: CheckFailed, Why: "a name is one state machine's in a Region",
			Fix: "pulumi config set stateMachineName " + name + "-" + d.stack.Name(),
		})
	case hasCode(err, "StateMachineDoesNotExist"):
		d.ok("State machine's name", name+" is free")
	default:
		d.unknown("State machine's name", name, actionMachine, err)
	}
}
