package operate

import (
	"cmp"
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

// DoctorOptions configure [Doctor].
type DoctorOptions struct {
	// Stack is what would be deployed.
	Stack StackOptions
	// OnCheck hears of each check as it ends, in order. Default: nobody.
	OnCheck func(Check)
	// Timeout is for one check. Default: 15 s.
	Timeout time.Duration
	// EnableEventBridge is that [Stack.EnableEventBridge] follows: where EventBridge is off isn't in the way then. Default: it doesn't.
	EnableEventBridge bool
}

// The least versions. Go's is the one in go.mod.
var goVersion = regexp.MustCompile(`go(\d+\.\d+(?:\.\d+)?)`)

const leastGo = "1.26.6"

// Doctor looks for all that a deployment needs before it starts (requirements A9 and A10): tools, project, configuration,
// credentials, Region, network, free names, whoever is to hear of failures, quotas, and the deployer's permissions. Whatever is
// missing is a failed check and not an error.
func Doctor(ctx context.Context, options DoctorOptions) (Diagnosis, error) {
	options.Timeout = cmp.Or(options.Timeout, 15*time.Second)
	d := &doctor{options: options, checks: checks{onCheck: options.OnCheck}}
	const long = 4 // times the timeout
	for _, step := range []struct {
		look  func(context.Context)
		times int
	}{
		{d.golang, 1}, {d.pulumi, 1},
		{d.project, long}, // Pulumi's own start takes its time, and a backend may be far away
		{d.docker, 1}, {d.credentials, 1}, {d.region, 1}, {d.inAccount(d.pause), 1}, {d.inAccount(d.image), 1},
		{d.inAccount(d.network), 1}, {d.inAccount(d.wayToLedger), 1}, {d.inAccount(d.names), 1}, {d.inAccount(d.outputBucket), 1},
		{d.inAccount(d.buckets), long}, // some requests for each bucket
		{d.notices, 1}, {d.inAccount(d.vpcQuota), 1}, {d.inAccount(d.fargateQuota), 1}, {d.inAccount(d.concurrency), 1},
		{d.inAccount(d.spotRole), 1},
		{d.inAccount(d.permissions), long}, // one request for each resource
	} {
		limited, cancel := context.WithTimeout(ctx, time.Duration(step.times)*options.Timeout)
		step.look(limited)
		cancel()
		if ctx.Err() != nil {
			return Diagnosis{d.done}, fmt.Errorf("looking at what a deployment needs: %w", ErrCanceled)
		}
	}
	return Diagnosis{d.done}, nil
}

// doctor gathers checks. Later checks need what earlier ones found.
type doctor struct {
	checks

	options  DoctorOptions
	noPulumi bool // its CLI can't be used
	stack    *Stack
	outputs  *Outputs
	owned    map[string][]string // the ids of what the stack has, by type, although it may not be deployed whole
	config   map[string]string
	settings *settings.Settings
	aws      *aws.Config
	found    string // the Region that profile and environment say, whatever the credentials are worth
	account  string
	caller   string // the ARN of whose credentials they are
	nowhere  bool   // the Region has no address
	// keysToAdd are how many keys of buckets it has said to be added to the configuration.
	keysToAdd int
}

// inAccount has a check left out that needs a valid configuration and credentials, where these have failed theirs.
func (d *doctor) inAccount(look func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		if d.settings != nil && d.aws != nil {
			look(ctx)
		}
	}
}

func (d *doctor) golang(ctx context.Context) {
	const name, why, fix = "Go", "it compiles the processors and the Pulumi program", "https://go.dev/doc/install"
	output, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	if err != nil {
		d.failed(name, "not found: "+shorten(err.Error()), why, fix)
		return
	}
	text := strings.TrimSpace(string(output))
	found := goVersion.FindStringSubmatch(text)
	if found == nil {
		d.unknown(name, text, why, fix)
		return
	}
	if have, err := semver.ParseTolerant(found[1]); err == nil && have.LT(semver.MustParse(leastGo)) {
		d.failed(name, text+", and it takes "+leastGo, why, fix)
		return
	}
	d.ok(name, text)
}

func (d *doctor) pulumi(ctx context.Context) {
	const name, why = "Pulumi CLI", "it deploys, and keeps what is deployed"
	const fix = "https://www.pulumi.com/docs/iac/download-install/"
	command, err := findPulumi(ctx, nil)
	d.noPulumi = err != nil || command.version.LT(semver.MustParse(MinimumPulumi))
	switch {
	case err != nil:
		d.failed(name, without(err, ErrNotReady), why, fix)
	case d.noPulumi:
		d.failed(name, command.version.String()+", and it takes "+MinimumPulumi, why, fix)
	default:
		d.ok(name, command.version.String())
	}
}

// without is an error's text without the kind that it begins with.
func without(err, kind error) string { return strings.TrimPrefix(err.Error(), kind.Error()+": ") }

// project looks at the stack and its configuration.
func (d *doctor) project(ctx context.Context) {
	const name, why = "Stack", "it holds the configuration and what is deployed"
	if d.noPulumi {
		d.unknown(name, "not checked without the Pulumi CLI", why, "see what is said of the Pulumi CLI")
		return
	}
	stack, err := OpenStack(ctx, d.options.Stack)
	if err != nil {
		found, fix := err.Error(), likelyCause(err.Error())
		if wanted := d.options.Stack.Name; errors.Is(err, ErrNoStack) && wanted != "" {
			found, fix = "there is no stack "+wanted, "upload-router init --stack "+wanted
		} else if errors.Is(err, ErrNoStack) {
			found, fix = without(err, ErrNoStack), "upload-router init --stack dev"
		}
		d.failed(name, found, why, fix)
		return
	}
	d.stack, d.of = stack, lastPart(stack.Name(), "/")
	if d.config, err = stack.Config(ctx); err != nil {
		d.failed(name, err.Error(), "nothing can be checked without its configuration", likelyCause(err.Error()))
		return
	}
	d.owned = stack.ids(ctx)
	if outputs, err := stack.Outputs(ctx); err == nil {
		d.outputs = &outputs
		d.ok(name, stack.Name()+", deployed")
	} else {
		d.ok(name, stack.Name()+", not deployed yet")
	}
	d.configuration()
}

// configuration checks the stack's.
func (d *doctor) configuration() {
	const name = "Configuration"
	var err error
	if d.settings, err = loadSettings(d.stack.Project(), d.config, settings.WithStack(d.stack.Name())); err == nil {
		d.ok(name, "valid")
		return
	}
	invalid, ok := errors.AsType[*settings.InvalidError](err)
	if !ok {
		d.failed(name, err.Error(), "a wrong one is refused", "pulumi config")
		return
	}
	for _, p := range invalid.Problems {
		d.failed(name, p.String(), "a wrong value is refused before anything is made", p.Fix.String())
	}
}

// docker looks for the daemon, unless an image is given (requirement A9).
func (d *doctor) docker(ctx context.Context) {
	if d.settings != nil && d.settings.Image != "" {
		d.ok("Image", d.settings.Image)
		return
	}
	output, err := exec.CommandContext(ctx, "docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput()
	if err == nil {
		d.ok("Docker", "server "+strings.TrimSpace(string(output)))
		return
	}
	found := "not found on PATH"
	if !errors.Is(err, exec.ErrNotFound) {
		found = "not running: " + shorten(string(output))
	}
	fix := "https://docs.docker.com/get-docker/, or: "
	if d.settings != nil && d.settings.Dockerfile != "" {
		fix += "pulumi config rm dockerfile, and "
	}
	d.failed("Docker", found, "it builds and pushes the image, unless `image` names one that you have pushed",
		fix+"pulumi config set image REPOSITORY@sha256:DIGEST")
}

func (d *doctor) credentials(ctx context.Context) {
	const name, why = "Credentials", "everything is made in the account that they belong to"
	const fix = "aws configure sso, aws sso login, or export AWS_PROFILE=..."
	cfg, err := LoadAWS(ctx, d.config[keyRegion], d.config["aws:profile"])
	if err != nil {
		d.failed(name, shorten(without(err, ErrNotReady)), why, fix)
		return
	}
	d.found = cfg.Region
	asked := cfg.Copy()
	asked.Region = cmp.Or(cfg.Region, "us-east-1") // STS answers there; the Region's own check says that it is missing
	identity, err := sts.NewFromConfig(asked).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		if _, unknown := errors.AsType[*net.DNSError](err); unknown { // which says nothing of the credentials
			d.nowhere = true
			d.unknown(name, "not checked: "+shorten(lastCause(err)), why, "see what is said of the Region")
			return
		}
		found := shorten(lastCause(err))
		if strings.Contains(err.Error(), "no EC2 IMDS role found") { // the last place where the SDK looks
			found = "no credentials found: not in the environment, in no profile, and not those of a container or an instance"
		}
		d.failed(name, found, why, cmp.Or(causeOf(err), fix))
		return
	}
	d.aws, d.account, d.caller = &cfg, aws.ToString(identity.Account), aws.ToString(identity.Arn)
	d.ok(name, "account "+d.account+", "+lastPart(d.caller, ":"))
	if d.outputs != nil && d.outputs.AccountID() != d.account {
		d.failed("Account", "the stack is deployed in "+d.outputs.AccountID(), "another account has none of what is deployed",
			"export AWS_PROFILE=... of the account "+d.outputs.AccountID())
	}
}

func (d *doctor) region(ctx context.Context) {
	const name, why, fix = "Region", "everything is made there", "pulumi config set aws:region eu-central-1"
	region := cmp.Or(d.config[keyRegion], d.found)
	switch {
	case region == "":
		d.failed(name, "none is set", why, fix)
		return
	case d.outputs != nil && d.outputs.Region() != region:
		d.failed(name, region+", and the stack is deployed in "+d.outputs.Region(),
			"a stack can't move: all would be made anew, and the old left behind", "pulumi config set aws:region "+d.outputs.Region())
		return
	case d.nowhere:
		d.failed(name, region+": there is no such Region, or this machine has no network", why, fix)
		return
	case d.aws == nil:
		d.unknown(name, region+", not checked without credentials", why, "see what is said of the credentials")
		return
	}
	d.aws.Region = region
	regions, err := awsquery.NewEC2(*d.aws).DescribeRegion(ctx, region)
	switch {
	case hasCode(err, "InvalidParameterValue"), err != nil && strings.Contains(err.Error(), "no such host"):
		d.failed(name, region+" is no Region of AWS", why, fix)
		d.aws = nil
	case err != nil:
		d.unasked(name, region, actionRegion, err)
	case len(regions) == 1 && regions[0].OptInStatus == "not-opted-in":
		d.failed(name, region+" isn't enabled for the account", why, "aws account enable-region --region-name "+region)
	default:
		d.ok(name, region)
	}
}

// The permissions that the checks ask AWS with.
const (
	actionRegion        = "ec2:DescribeRegions"
	actionVPCs          = "ec2:DescribeVpcs"
	actionSubnets       = "ec2:DescribeSubnets"
	actionRoutes        = "ec2:DescribeRouteTables"
	actionEndpoints     = "ec2:DescribeVpcEndpoints"
	actionPrefixLists   = "ec2:DescribePrefixLists"
	actionBucket        = "s3:ListBucket"
	actionLifecycle     = "s3:GetLifecycleConfiguration"
	actionNotification  = "s3:GetBucketNotification"
	actionVersioning    = "s3:GetBucketVersioning"
	actionEncryption    = "s3:GetEncryptionConfiguration"
	actionBucketPolicy  = "s3:GetBucketPolicy"
	actionRepository    = "ecr:DescribeRepositories"
	actionImage         = "ecr:BatchGetImage"
	actionLayer         = "ecr:GetDownloadUrlForLayer"
	actionMachine       = "states:DescribeStateMachine"
	actionSubscriptions = "sns:ListSubscriptionsByTopic"
	actionQuota         = "servicequotas:GetServiceQuota"
	actionAccount       = "lambda:GetAccountSettings"
	actionConcurrency   = "lambda:GetFunctionConcurrency"
	actionSimulate      = "iam:SimulatePrincipalPolicy"
	actionRole          = "iam:GetRole"
	actionRule          = "events:DescribeRule"
	actionQueue         = "sqs:GetQueueAttributes"
)

// DoctorPermissions are the permissions that [Doctor] asks AWS with. One that the credentials lack leaves its check unknown.
func DoctorPermissions() []string {
	return []string{
		actionRegion, actionVPCs, actionSubnets, actionRoutes, actionEndpoints, actionPrefixLists, actionBucket, actionLifecycle,
		actionNotification, actionVersioning, actionEncryption, actionBucketPolicy, actionRepository, actionImage, actionLayer, actionMachine,
		actionSubscriptions, actionQuota, actionAccount, actionConcurrency, actionSimulate, actionRole,
		actionRule, actionQueue,
	}
}

// unasked is for what AWS doesn't let us see. permission is what the request takes.
func (d *doctor) unasked(name, found, permission string, err error) {
	fix := fixAsking(err, "upload-router doctor, once more")
	if forbidden(err) {
		fix = "give the credentials the permission " + permission + ", or look there yourself"
	}
	d.unknown(name, strings.TrimPrefix(found+": "+shorten(lastCause(err)), ": "), "it could not be asked; a deployment may succeed", fix)
}

// forbidden says whether AWS has refused a request for want of a permission.
func forbidden(err error) bool {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && (response.HTTPStatusCode() == http.StatusForbidden || strings.Contains(err.Error(), "AccessDenied"))
}

// network looks whether the task's network is there. One that is to be made has a quota to be checked, nothing more.
func (d *doctor) network(ctx context.Context) {
	switch client := awsquery.NewEC2(*d.aws); d.settings.Network {
	case settings.NetworkDefault:
		d.defaultVPC(ctx, client)
	case settings.NetworkExisting:
		d.existingVPC(ctx, client)
	case settings.NetworkCreate, settings.NetworkPrivate:
	}
}

func (d *doctor) defaultVPC(ctx context.Context, client *awsquery.EC2) {
	const name = "Default VPC"
	switch vpcs, err := client.DescribeVPCs(ctx, map[string]string{"is-default": "true"}); {
	case err != nil:
		d.unasked(name, "", actionVPCs, err)
	case len(vpcs) == 0:
		d.failed(name, "there is none", "the configuration asks for it: network is default",
			"aws ec2 create-default-vpc, or: pulumi config set network create")
	default:
		d.ok(name, vpcs[0].ID)
	}
}

func (d *doctor) existingVPC(ctx context.Context, client *awsquery.EC2) {
	const name = "Subnets"
	found, err := client.DescribeSubnets(ctx, d.settings.SubnetIDs)
	elsewhere := slices.IndexFunc(found, func(s awsquery.Subnet) bool { return s.VPCID != d.settings.VPCID })
	switch {
	case hasCode(err, "InvalidSubnetID.NotFound"):
		d.failed(name, lastCause(err), "the task runs in them", "aws ec2 describe-subnets --filters Name=vpc-id,Values="+d.settings.VPCID)
	case err != nil:
		d.unasked(name, "", actionSubnets, err)
	case elsewhere >= 0:
		s := found[elsewhere]
		d.failed(name, s.ID+" is in "+s.VPCID, "the security group is in "+d.settings.VPCID, "pulumi config set vpcId "+s.VPCID)
	default:
		d.ok(name, strings.Join(d.settings.SubnetIDs, ", "))
	}
}

// names looks whether the names that are asked for are free.
func (d *doctor) names(ctx context.Context) {
	for _, n := range []struct {
		what, name, key, typ, permission, why, ending string
		taken                                         func(ctx context.Context, name string) (string, error)
	}{
		{"Bucket's name", d.settings.BucketName, "bucketName", declared.TypeBucket, actionBucket,
			"bucket names are unique in all of AWS", d.account, d.bucketTaken},
		{"Repository's name", d.settings.ECRRepoName, "ecrRepoName", declared.TypeRepository, actionRepository,
			"a name is one repository's in a Region", d.stack.Name(), d.repositoryTaken},
		{"State machine's name", d.settings.StateMachineName, "stateMachineName", declared.TypeStateMachine, actionMachine,
			"a name is one state machine's in a Region", d.stack.Name(), d.machineTaken},
	} {
		if n.name == "" {
			continue
		}
		if slices.ContainsFunc(d.owned[n.typ], func(id string) bool { return lastPart(id, ":") == n.name }) {
			d.ok(n.what, n.name+", this stack's")
			continue
		}
		switch taken, err := n.taken(ctx, n.name); {
		case err != nil:
			d.unasked(n.what, n.name, n.permission, err)
		case taken != "":
			d.failed(n.what, n.name+" is "+taken, n.why, "pulumi config set "+n.key+" "+n.name+"-"+n.ending)
		default:
			d.ok(n.what, n.name+" is free")
		}
	}
}

// bucketTaken says how a bucket's name is taken; empty if it is free.
func (d *doctor) bucketTaken(ctx context.Context, name string) (string, error) {
	_, err := newS3(*d.aws).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
	if err == nil {
		return "taken, by a bucket of this account", nil
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		switch response.HTTPStatusCode() {
		case http.StatusNotFound:
			return "", nil
		case http.StatusForbidden, http.StatusMovedPermanently:
			return "taken, by somebody else or in another Region", nil
		}
	}
	return "", err //nolint:wrapcheck // Who calls it says what was looked at.
}

func (d *doctor) repositoryTaken(ctx context.Context, name string) (string, error) {
	_, err := ecr.NewFromConfig(*d.aws).DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{name}})
	return takenUnless("RepositoryNotFoundException", err)
}

func (d *doctor) machineTaken(ctx context.Context, name string) (string, error) {
	own, _ := partition.OfRegion(d.aws.Region)
	arn := fmt.Sprintf("arn:%s:states:%s:%s:stateMachine:%s", own.Name, d.aws.Region, d.account, name)
	_, err := sfn.NewFromConfig(*d.aws).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &arn})
	return takenUnless("StateMachineDoesNotExist", err)
}

// takenUnless is that a name is taken, unless AWS has refused by a code to describe what has it.
func takenUnless(code string, err error) (string, error) {
	switch {
	case err == nil:
		return "taken", nil
	case hasCode(err, code):
		return "", nil
	}
	return "", err
}
