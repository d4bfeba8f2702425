//go:build !race

// These evaluate the program, as those of cost_test.go do.

package operate_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

// examine has the doctor look at a stack with a configuration in YAML-free form: the account is a fake one, and so is the CLI.
func examine(t *testing.T, play string, config string, prepare func(*awstest.Server)) operate.Diagnosis {
	t.Helper()
	return examineProject(t, "upload-router", play, config, prepare)
}

// examineProject examines a project of a name.
func examineProject(t *testing.T, project, play, config string, prepare func(*awstest.Server)) operate.Diagnosis {
	t.Helper()
	return examineWith(t, operate.DoctorOptions{}, project, play, config, prepare)
}

// examineWith examines with options of one's own.
func examineWith(
	t *testing.T, options operate.DoctorOptions, project, play, config string, prepare func(*awstest.Server),
) operate.Diagnosis {
	t.Helper()
	newStandIn(t, play)
	server := awstest.Start(t)
	prepare(server)
	server.Asked() // which prepare's own may be among
	emulated(t, server)
	t.Setenv("CONFIG", config)
	if play == "no credentials" {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	}
	if play == "nowhere" {
		t.Setenv("AWS_ENDPOINT_URL_STS", "http://sts.zz-north-1.invalid")
	}
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte("name: "+project+"\nruntime: go\n"), 0o600))
	var told []operate.Check
	options.Stack, options.Timeout = operate.StackOptions{Name: "dev", Folder: folder}, time.Minute
	options.OnCheck = func(c operate.Check) { told = append(told, c) }
	diagnosis, err := operate.Doctor(t.Context(), options)
	require.NoError(t, err)
	require.Equal(t, diagnosis.Checks, told, "each is told as it ends")
	for _, c := range diagnosis.Checks {
		if c.Status != operate.CheckOK {
			require.NotEmpty(t, c.Why, c.Name)
			require.NotEmpty(t, c.Fix, c.Name)
		}
	}
	known := append(operate.DoctorPermissions(), "sts:GetCallerIdentity") // which takes no permission
	require.Subset(t, known, server.Asked(), "the help says what it takes")
	return diagnosis
}

// emulated has a server be AWS.
func emulated(t *testing.T, server *awstest.Server) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.Endpoint(), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_MAX_ATTEMPTS": "3",
	} {
		t.Setenv(name, value)
	}
}

// with is a configuration with some keys, and values, besides the usual ones.
func with(pairs ...string) string {
	var config strings.Builder
	config.WriteString(imageConfig)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&config, `,"upload-router:%s":{"value":%q}`, pairs[i], pairs[i+1])
	}
	return config.String()
}

// subnets is a configuration with a network that is there.
func subnets(vpc, first, second string) string {
	return with("network", "existing", "vpcId", vpc, "subnetIds", fmt.Sprintf(`[%q,%q]`, first, second))
}

const imageConfig = `"aws:region":{"value":"eu-central-1"},"upload-router:image":{"value":"` + awstest.Image + `"}`

func TestDoctorFindsAllThatIsNeeded(t *testing.T) { //nolint:paralleltest // It sets the environment.
	d := examine(t, "good", "{"+imageConfig+"}", func(*awstest.Server) {})
	require.True(t, d.Ready(), "%+v", d.Checks)
	want := map[string]operate.CheckStatus{
		"Go": "ok", "Pulumi CLI": "ok", "Stack": "ok", "Configuration": "ok", "Image": "ok", "Credentials": "ok", "Region": "ok",
		"Image in ECR": "ok", "Quota of VPCs": "ok", "Quota of Fargate": "ok", "Deployer's permissions": "ok",
	}
	require.Equal(t, want, statuses(d.Checks))
}

func TestDoctorNamesWhatIsMissing(t *testing.T) { //nolint:paralleltest // It sets the environment.
	lack := func(what string) func(*awstest.Server) { return func(s *awstest.Server) { s.Break(what) } }
	nothing := func(*awstest.Server) {}
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		play, config string
		prepare      func(*awstest.Server)
		failed       string
		found        string
	}{
		"credentials":      {"no credentials", imageConfig, nothing, "Credentials", "no credentials found"},
		"Region":           {"good", imageConfig, lack(awstest.LackRegion), "Region", "eu-central-1 is no Region of AWS"},
		"Region nowhere":   {"nowhere", imageConfig, nothing, "Region", "eu-central-1: there is no such Region"},
		"Region's opt-in":  {"good", imageConfig, lack(awstest.LackOptIn), "Region", "isn't enabled for the account"},
		"no Region at all": {"good", `"upload-router:image":{"value":"` + awstest.Image + `"}`, nothing, "Region", "none is set"},
		"quotas":           {"good", imageConfig, lack(awstest.LackQuota), "Quota of VPCs", "1 of 0 used"},
		"repository":       {"good", with("image", "", "ecrRepoName", awstest.Repository), nothing, "Repository's name", "processors is taken"},
		"state machine":    {"good", with("stateMachineName", "workflow"), nothing, "State machine's name", "workflow is taken"},
		"subnets": {
			"good", subnets(awstest.VPC, awstest.Subnet1, "subnet-0123456789abcdef0"), nothing, "Subnets", "there is none",
		},
		"subnets elsewhere": {
			"good", subnets("vpc-0123456789abcdef0", awstest.Subnet1, awstest.Subnet2), nothing,
			"Subnets", awstest.Subnet1 + " is in " + awstest.VPC,
		},
		"name": {
			"good", imageConfig + `,"upload-router:bucketName":{"value":"` + awstest.Bucket + `"}`, nothing,
			"Bucket's name", "is taken, by a bucket of this account",
		},
		"default VPC": {
			"good", imageConfig + `,"upload-router:network":{"value":"default"}`, lack(awstest.LackVPC), "Default VPC", "there is none",
		},
		"configuration": {
			"good", imageConfig + `,"upload-router:taskCpu":{"value":"100"},"upload-router:lambdaMemory":{"value":"3"}`, nothing,
			"Configuration", "upload-router:taskCpu: 100",
		},
		"stack": {"no stack", imageConfig, nothing, "Stack", "there is no stack dev"},
	} {
		t.Run(name, func(t *testing.T) {
			d := examine(t, test.play, "{"+test.config+"}", test.prepare)
			require.False(t, d.Ready())
			found := map[string]string{}
			for _, c := range d.Checks {
				if c.Status == operate.CheckFailed {
					found[c.Name] = c.Found
				}
			}
			require.Contains(t, found, test.failed, "%+v", d.Checks)
			require.Contains(t, found[test.failed], test.found)
		})
	}
}

// The image is looked at as Lambda and ECS will.
func TestDoctorLooksAtTheImage(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const (
		manifest  = `{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"digest":"sha256:0a"}}`
		index     = `{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
		old       = `{"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws"}`
		elsewhere = awstest.Account + ".dkr.ecr.eu-west-1.amazonaws.com/processor:1"
	)
	config := func(architecture, entrypoint string) string {
		return `{"architecture":"` + architecture + `","os":"linux","config":{"Entrypoint":` + entrypoint + `}}`
	}
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		image, manifest, config string
		status                  operate.CheckStatus
		found                   string
	}{
		"as it should be": {
			awstest.Image, manifest, config("amd64", `["/w"]`), operate.CheckOK,
			"for function and task, linux/amd64, /w, sha256:1b",
		},
		"of another Region": {
			elsewhere, manifest, config("amd64", `["/w"]`), operate.CheckOK,
			"for the task, linux/amd64, /w, sha256:1b",
		},
		"none":     {awstest.Image, "", "", operate.CheckFailed, awstest.Image + " isn't there"},
		"an index": {awstest.Image, index, "", operate.CheckFailed, "which Lambda refuses"},
		"an index that Lambda doesn't take anyway": {elsewhere, index, "", operate.CheckOK, "an index, of which ECS takes"},
		"an old manifest":                          {awstest.Image, old, "", operate.CheckFailed, "which neither Lambda nor ECS knows"},
		"the other architecture": {
			awstest.Image, manifest, config("arm64", `["/w"]`), operate.CheckFailed,
			"linux/arm64, and `architecture` is x86_64",
		},
		"no entry point": {
			awstest.Image, manifest, config("amd64", `null`), operate.CheckFailed,
			"it has no ENTRYPOINT",
		},
		"an entry point on PATH": {
			awstest.Image, manifest, config("amd64", `["w"]`), operate.CheckFailed,
			"its ENTRYPOINT is w",
		},
		"a configuration that is none": {awstest.Image, manifest, "{", operate.CheckUnknown, "its configuration can't be had"},
	} {
		t.Run(name, func(t *testing.T) {
			d := examine(t, "good", "{"+with("image", test.image)+"}", func(s *awstest.Server) { s.SetImage(test.manifest, test.config) })
			i := slices.IndexFunc(d.Checks, func(c operate.Check) bool { return c.Name == "Image in ECR" })
			require.GreaterOrEqual(t, i, 0)
			require.Equal(t, test.status, d.Checks[i].Status, d.Checks[i].Found)
			require.Contains(t, d.Checks[i].Found, test.found)
		})
	}
}

func TestDoctorGoesOnWithoutTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	d, err := operate.Doctor(t.Context(), operate.DoctorOptions{Stack: operate.StackOptions{Name: "dev", Folder: t.TempDir()}})
	require.NoError(t, err)
	found := statuses(d.Checks)
	maps.DeleteFunc(found, func(name string, _ operate.CheckStatus) bool { return name == "Credentials" || name == "Region" })
	require.Equal(t, map[string]operate.CheckStatus{"Go": "failed", "Pulumi CLI": "failed", "Stack": "unknown", "Docker": "failed"}, found)
}

// TestDoctorComparesQuotas has every quota at the edge of what the configuration takes.
func TestDoctorComparesQuotas(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const vpcs, onDemand, spot = "L-F678F1CE", "L-3032A538", "L-36FBB829"
	quota := func(code string, value float64) func(*awstest.Server) {
		return func(s *awstest.Server) { s.Quota(code, value) }
	}
	free := func(runs int) func(*awstest.Server) { return func(s *awstest.Server) { s.Unreserved(runs) } }
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		config  string
		prepare func(*awstest.Server)
		check   string
		status  operate.CheckStatus
		found   string
		fix     string
	}{
		"VPCs, where the default one would do": {
			imageConfig, quota(vpcs, 1), "Quota of VPCs", "failed", "1 of 1 used",
			"desired-value 2, or: pulumi config set --stack dev network default",
		},
		"one task fits": {with("taskCpu", "4096", "taskMemory", "8192"), quota(onDemand, 4), "Quota of Fargate", "ok", "1 task at a time", ""},
		"no task fits": {
			with("taskCpu", "4096", "taskMemory", "8192"), quota(onDemand, 2), "Quota of Fargate", "failed", "2 vCPUs, and a task takes 4",
			"--quota-code L-3032A538 --desired-value 4",
		},
		"all tasks fit": {with("maxParallelTasks", "6", "executionTimeout", "7200"), quota(onDemand, 6), "Quota of Fargate", "ok", "6 tasks", ""},
		"not all tasks fit": {
			with("maxParallelTasks", "7", "executionTimeout", "7200"), quota(onDemand, 6), "Quota of Fargate", "failed",
			"maxParallelTasks lets 7 tasks of 1 run", "pulumi config set --stack dev maxParallelTasks 6, or: aws service-quotas",
		},
		"not all tasks of a route fit": {
			with("routes", `[{"name":"large","compute":"fargate","maxParallel":7}]`, "executionTimeout", "7200"), quota(onDemand, 6),
			"Quota of Fargate", "failed", "routes[0].maxParallel lets 7 tasks of 1 run",
			"pulumi config set --stack dev --path 'routes[0].maxParallel' 6, or: aws service-quotas",
		},
		"tasks fit on Spot": {
			with("taskCapacity", "spot", "maxParallelTasks", "7", "executionTimeout", "7200"), quota(spot, 7), "Quota of Fargate Spot", "ok",
			"7 tasks", "",
		},
		"not all tasks fit on Spot": {
			with("taskCapacity", "spot", "maxParallelTasks", "7", "executionTimeout", "7200"), quota(spot, 6), "Quota of Fargate Spot", "failed",
			"maxParallelTasks lets 7 tasks", "--quota-code L-36FBB829 --desired-value 7",
		},
		"what comes after Spot": {with("taskCapacity", "spot"), quota(onDemand, 0), "Quota of Fargate", "failed", "a task takes 1", "L-3032A538"},
		"runs to reserve":       {with("lambdaReservedConcurrency", "900"), free(1000), "Lambda's concurrency", "ok", "1000 of 1000 runs", ""},
		"too many to reserve": {
			with("lambdaReservedConcurrency", "901"), free(1000), "Lambda's concurrency", "failed", "100 must stay so, and 901 are to be reserved",
			"pulumi config set --stack dev lambdaReservedConcurrency 900, or: " +
				"aws service-quotas request-service-quota-increase --service-code lambda " +
				"--quota-code L-B99A9384 --desired-value 1001",
		},
		"others have reserved": {
			with("lambdaReservedConcurrency", "100"), free(150), "Lambda's concurrency", "failed", "150 of 1000 runs are free",
			"lambdaReservedConcurrency 50, or",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := examine(t, "good", "{"+test.config+"}", test.prepare)
			i := slices.IndexFunc(d.Checks, func(c operate.Check) bool { return c.Name == test.check })
			require.GreaterOrEqual(t, i, 0, "%+v", d.Checks)
			require.Equal(t, test.status, d.Checks[i].Status, "%+v", d.Checks[i])
			require.Contains(t, d.Checks[i].Found, test.found)
			require.Contains(t, d.Checks[i].Fix, test.fix)
		})
	}
}

// The default VPC is no way out for who wants a network that none leads out of.
func TestDoctorKeepsAPrivateNetworkPrivate(t *testing.T) { //nolint:paralleltest // It sets the environment.
	d := examine(t, "good", "{"+with("network", "private")+"}", func(s *awstest.Server) { s.Quota("L-F678F1CE", 1) })
	for _, c := range d.Checks {
		require.NotContains(t, c.Fix, "network default", c.Name)
	}
	require.Equal(t, operate.CheckFailed, statuses(d.Checks)["Quota of VPCs"])
}

// deployed has the stack be there, with a function that has reserved runs, and a topic with one subscription.
func deployed(t *testing.T, account string) {
	t.Helper()
	t.Setenv("RESOURCES", `{"type":"aws:lambda/function:Function","id":"f"},{"type":"aws:sns/topic:Topic","id":"`+topicARN+`"},
{"type":"aws:sns/topicSubscription:TopicSubscription","id":"`+subscriptionARN+`"}`)
	t.Setenv("OUTPUTS", strings.ReplaceAll(string(awstest.Start(t).Outputs()), awstest.Account, account))
}

// What the stack has reserved already is no obstacle to it.
func TestDoctorCountsWhatTheStackHasReserved(t *testing.T) { //nolint:paralleltest // It sets the environment.
	deployed(t, awstest.Account)
	d := examine(t, "good", "{"+with("lambdaReservedConcurrency", "900")+"}", func(s *awstest.Server) { s.Unreserved(100) })
	require.Equal(t, operate.CheckOK, statuses(d.Checks)["Lambda's concurrency"], "%+v", d.Checks)
}

const (
	topicARN        = "arn:aws:sns:eu-central-1:123456789012:t"
	subscriptionARN = topicARN + ":1"
)

// What people rely on must not fail in silence; whoever is told needn't be of the
// configuration. What is made to be thrown away isn't asked about.
func TestDoctorWantsSomebodyToHearOfWhatIsProtected(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const none = operate.CheckStatus("")
	nobody := func(*awstest.Server) {}
	subscribed := func(arns ...string) func(*awstest.Server) { return func(s *awstest.Server) { s.Subscribe(arns...) } }
	const address, topic = `["ops@example.com"]`, `["` + topicARN + `"]`
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		config   string
		deployed bool
		prepare  func(*awstest.Server)
		status   operate.CheckStatus
		found    string
	}{
		"not protected":          {imageConfig, false, nobody, none, ""},
		"not protected any more": {imageConfig, true, nobody, none, ""},
		"an address":             {with("protect", "true", "notify", address), false, nobody, operate.CheckOK, "notify"},
		"an address, confirmed": {
			with("protect", "true", "notify", address), true, subscribed(subscriptionARN, "PendingConfirmation"), operate.CheckOK, "notify",
		},
		"an address, not confirmed": {
			with("protect", "true", "notify", address), true, subscribed("PendingConfirmation"), operate.CheckUnknown, "no address",
		},
		"a topic":              {with("protect", "true", "notify", topic), true, nobody, operate.CheckOK, "notify"},
		"nobody":               {with("protect", "true"), false, nobody, operate.CheckFailed, "nobody hears"},
		"nobody, deployed":     {with("protect", "true"), true, nobody, operate.CheckFailed, "nobody hears"},
		"subscribed elsewhere": {with("protect", "true"), true, subscribed(topicARN + ":2"), operate.CheckOK, "1 subscription"},
		"more than one": {
			with("protect", "true"), true, subscribed(topicARN+":2", topicARN+":3", "PendingConfirmation"), operate.CheckOK, "2 subscriptions",
		},
		"not confirmed yet":       {with("protect", "true"), true, subscribed("PendingConfirmation"), operate.CheckFailed, "nobody hears"},
		"the stack's, which goes": {with("protect", "true"), true, subscribed(subscriptionARN), operate.CheckFailed, "nobody hears"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.deployed {
				deployed(t, awstest.Account)
			}
			d := examine(t, "good", "{"+test.config+"}", test.prepare)
			i := slices.IndexFunc(d.Checks, func(c operate.Check) bool { return c.Name == "Notices" })
			if test.status == none {
				require.Negative(t, i, "%+v", d.Checks)
				return
			}
			require.GreaterOrEqual(t, i, 0, "%+v", d.Checks)
			require.Equal(t, test.status, d.Checks[i].Status, "%+v", d.Checks[i])
			require.Contains(t, d.Checks[i].Found, test.found)
			require.Equal(t, test.status == operate.CheckFailed, !d.Ready(), "a deployment waits for it: %+v", d.Checks)
			if test.status == operate.CheckFailed {
				require.Equal(t, "pulumi config set --stack dev --path 'notify[0]' ops@example.com", d.Checks[i].Fix)
			}
		})
	}
}

func TestDoctorTellsAnotherAccount(t *testing.T) { //nolint:paralleltest // It sets the environment.
	deployed(t, "210987654321")
	d := examine(t, "good", "{"+imageConfig+"}", func(*awstest.Server) {})
	found := statuses(d.Checks)
	require.Equal(t, operate.CheckOK, found["Credentials"])
	require.Equal(t, operate.CheckFailed, found["Account"], "%+v", d.Checks)
}

// What may not be asked for stands in nobody's way, and each such row names the permission that it takes.
func TestDoctorNamesThePermissionsThatItTakes(t *testing.T) { //nolint:paralleltest // It sets the environment.
	everything := with("image", "", "ecrRepoName", "repo", "stateMachineName", "machine", "lambdaReservedConcurrency", "1",
		"taskCapacity", "spot")
	const (
		aborting = "<Rule><Status>Enabled</Status><Filter></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>7" +
			"</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
	)
	for operation, test := range map[string]struct { //nolint:paralleltest // See above.
		config, permission string
		rows               []string
	}{
		"DescribeRegions": {everything, "ec2:DescribeRegions", []string{"Region"}},
		"GetServiceQuota": {
			everything, "servicequotas:GetServiceQuota", []string{"Quota of VPCs", "Quota of Fargate", "Quota of Fargate Spot"},
		},
		"BatchGetImage":            {imageConfig, "ecr:BatchGetImage", []string{"Image in ECR"}},
		"GetDownloadUrlForLayer":   {imageConfig, "ecr:GetDownloadUrlForLayer", []string{"Image in ECR"}},
		"DescribeRepositories":     {everything, "ecr:DescribeRepositories", []string{"Repository's name"}},
		"DescribeStateMachine":     {everything, "states:DescribeStateMachine", []string{"State machine's name"}},
		"GetAccountSettings":       {everything, "lambda:GetAccountSettings", []string{"Lambda's concurrency"}},
		"GetFunctionConcurrency":   {everything, "lambda:GetFunctionConcurrency", []string{"Lambda's concurrency"}},
		"DescribeSubnets":          {subnets(awstest.VPC, awstest.Subnet1, awstest.Subnet2), "ec2:DescribeSubnets", []string{"Subnets"}},
		"ListSubscriptionsByTopic": {with("protect", "true"), "sns:ListSubscriptionsByTopic", []string{"Notices"}},
		"HeadBucket": {
			with("outputBucket", "acme-results", "buckets", `["theirs"]`), "s3:ListBucket", []string{"Output bucket", "Bucket"},
		},
		"GetBucketNotificationConfiguration": {with("buckets", `["theirs"]`), "s3:GetBucketNotification", []string{"Bucket's events"}},
		"GetBucketVersioning":                {with("buckets", `["theirs"]`), "s3:GetBucketVersioning", []string{"Bucket's versioning"}},
		"GetBucketEncryption":                {with("buckets", `["theirs"]`), "s3:GetEncryptionConfiguration", []string{"Bucket's encryption"}},
		"GetBucketPolicy":                    {with("buckets", `["theirs"]`), "s3:GetBucketPolicy", []string{"Bucket's policy"}},
		"GetBucketLifecycleConfiguration": {
			with("outputBucket", "acme-results"), "s3:GetLifecycleConfiguration", []string{"Output bucket's lifecycle"},
		},
		"DescribeVpcs":            {everything, "ec2:DescribeVpcs", []string{"Quota of VPCs"}},
		"DescribeRule":            {everything, "events:DescribeRule", []string{"Pause"}},
		"GetRole":                 {everything, "iam:GetRole", []string{"ECS's own role"}},
		"SimulatePrincipalPolicy": {everything, "iam:SimulatePrincipalPolicy", []string{"Deployer's permissions"}},
	} {
		t.Run(operation, func(t *testing.T) {
			deployed(t, awstest.Account)
			d := examine(t, "good", "{"+test.config+"}", func(s *awstest.Server) {
				s.Adopt("acme-results", awstest.Adopted{Region: awstest.Region, Lifecycle: aborting})
				s.Adopt("theirs", awstest.Adopted{Region: awstest.Region, Notification: bridged, Versioning: kept})
				s.Refuse("AccessDeniedException", operation)
			})
			var rows []string
			for _, c := range d.Checks {
				if c.Status == operate.CheckUnknown {
					rows = append(rows, c.Name)
					require.Contains(t, c.Fix, "the permission "+test.permission)
				}
			}
			require.ElementsMatch(t, test.rows, rows, "%+v", d.Checks)
			require.Contains(t, operate.DoctorPermissions(), test.permission)
		})
	}
}

// A bucket for outputs that is there is looked at, as nothing of it is the stack's to set.
func TestDoctorLooksAtTheOutputBucket(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const (
		is, parts = "Output bucket", "Output bucket's lifecycle"
		abort     = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
		enabled   = "<Status>Enabled</Status>"
		json      = `{"ID":"abort-incomplete-uploads","Status":"Enabled","Filter":{"Prefix":"results/"},` +
			`"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}}`
		add = "add to the rules of its lifecycle configuration: " + json
	)
	rule := func(parts ...string) string { return "<Rule>" + strings.Join(parts, "") + "</Rule>" }
	of := func(prefix string) string { return "<Filter><Prefix>" + prefix + "</Prefix></Filter>" }
	all := map[string]operate.CheckStatus{is: "ok", parts: "ok"}
	lacks := map[string]operate.CheckStatus{is: "ok", parts: "unknown"}
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		bucket, region, rules string
		want                  map[string]operate.CheckStatus
		says                  string // found and fix of what isn't ok
	}{
		"it has a rule for all":       {"acme-results", awstest.Region, rule(enabled, of(""), abort), all, ""},
		"a rule without a filter":     {"acme-results", awstest.Region, rule(enabled, "<Filter></Filter>", abort), all, ""},
		"an old rule":                 {"acme-results", awstest.Region, rule(enabled, "<Prefix>results/</Prefix>", abort), all, ""},
		"a rule for what is above":    {"acme-results", awstest.Region, rule(enabled, of("res"), abort), all, ""},
		"a second rule":               {"acme-results", awstest.Region, rule(enabled, of("")) + rule(enabled, of(""), abort), all, ""},
		"a rule for what is below":    {"acme-results", awstest.Region, rule(enabled, of("results/a/"), abort), lacks, add},
		"a rule that is switched off": {"acme-results", awstest.Region, rule("<Status>Disabled</Status>", of(""), abort), lacks, add},
		"a rule for large objects": {
			"acme-results", awstest.Region,
			rule(enabled, "<Filter><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></Filter>", abort), lacks, add,
		},
		"a rule for something else": {"acme-results", awstest.Region, rule(enabled, of("")), lacks, add},
		"no rules": {
			"acme-results", awstest.Region, "", lacks, "aws s3api put-bucket-lifecycle-configuration --bucket acme-results " +
				`--lifecycle-configuration '{"Rules":[` + json + "]}'",
		},
		"another Region": {
			"acme-results", "eu-west-1", "", map[string]operate.CheckStatus{is: "failed"},
			"acme-results is in eu-west-1: pulumi config set --stack dev outputBucket, with the name of a bucket in eu-central-1, or create",
		},
		"none": {
			"acme-result", awstest.Region, "", map[string]operate.CheckStatus{is: "failed"},
			"acme-result isn't there: aws s3 mb s3://acme-result --region eu-central-1, or: pulumi config set --stack dev outputBucket create",
		},
		"one of the stack's own": {"create", awstest.Region, "", map[string]operate.CheckStatus{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := examine(t, "good", "{"+with("outputBucket", test.bucket, "outputPrefix", "results/")+"}", func(s *awstest.Server) {
				s.Adopt("acme-results", awstest.Adopted{Region: test.region, Lifecycle: test.rules})
			})
			found := map[string]operate.CheckStatus{}
			for _, c := range d.Checks {
				if c.Name == is || c.Name == parts {
					found[c.Name] = c.Status
					if c.Status != operate.CheckOK {
						require.Contains(t, c.Found+": "+c.Fix, test.says)
					}
				}
			}
			require.Equal(t, test.want, found)
		})
	}
	text, err := os.ReadFile(filepath.Join("..", "docs", "configuration.md"))
	require.NoError(t, err)
	require.Contains(t, strings.Join(strings.Fields(string(text)), ""), strings.Replace(json, "results/", "", 1), "what the page shows")
}

// In subnets that are given the task gets to the ledger by what is there.
func TestDoctorLooksForTheWayToTheLedger(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const route, out = "Route to DynamoDB", "Egress to DynamoDB"
	egress := func(rules string) []string { return []string{"egress", "[" + rules + "]"} }
	const rule = `{"protocol":"tcp","port":"443",%q:%q}`
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		prepare func(*awstest.Server)
		config  []string
		want    map[string]operate.CheckStatus
		fix     string
	}{
		"a gateway endpoint": {
			func(s *awstest.Server) { s.Break(awstest.LinkRoute); s.Gateway("dynamodb") }, nil,
			map[string]operate.CheckStatus{route: "ok", out: "ok"}, "",
		},
		"another service's": {
			func(s *awstest.Server) { s.Break(awstest.LinkRoute); s.Gateway("s3") }, nil,
			map[string]operate.CheckStatus{route: "failed"},
			"aws ec2 create-vpc-endpoint --vpc-id " + awstest.VPC + " --service-name com.amazonaws.eu-central-1.dynamodb --route-table-ids rtb-1",
		},
		"the internet": {
			func(*awstest.Server) {}, []string{"assignPublicIp", "true"}, map[string]operate.CheckStatus{route: "ok", out: "ok"}, "",
		},
		"the internet, without an address": {
			func(*awstest.Server) {}, []string{"assignPublicIp", "false"}, map[string]operate.CheckStatus{route: "failed"},
			"pulumi config set --stack dev assignPublicIp true",
		},
		"egress to its prefix list": {
			func(s *awstest.Server) { s.Gateway("dynamodb") }, egress(fmt.Sprintf(rule, "prefixListId", awstest.PrefixList)),
			map[string]operate.CheckStatus{route: "ok", out: "ok"}, "",
		},
		"egress to its addresses": {
			func(s *awstest.Server) { s.Gateway("dynamodb") },
			egress(fmt.Sprintf(rule, "cidr", "3.122.0.0/16") + "," + fmt.Sprintf(rule, "cidr", "52.94.0.0/16")),
			map[string]operate.CheckStatus{route: "ok", out: "ok"}, "",
		},
		"egress to some of them": {
			func(s *awstest.Server) { s.Gateway("dynamodb") }, egress(fmt.Sprintf(rule, "cidr", "3.122.0.0/16")),
			map[string]operate.CheckStatus{route: "ok", out: "failed"}, `"prefixListId":"` + awstest.PrefixList + `"`,
		},
		"who may not look": {
			func(s *awstest.Server) { s.Refuse("UnauthorizedOperation", "DescribeVpcEndpoints") }, nil,
			map[string]operate.CheckStatus{route: "unknown"}, "ec2:DescribeVpcEndpoints",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := subnets(awstest.VPC, awstest.Subnet1, awstest.Subnet2)
			for i := 0; i < len(test.config); i += 2 {
				config += fmt.Sprintf(`,"upload-router:%s":{"value":%q}`, test.config[i], test.config[i+1])
			}
			d := examine(t, "good", "{"+config+"}", test.prepare)
			found := map[string]operate.CheckStatus{}
			for _, c := range d.Checks {
				if c.Name == route || c.Name == out {
					found[c.Name] = c.Status
					if c.Status != operate.CheckOK {
						require.Contains(t, c.Fix, test.fix)
					}
				}
			}
			require.Equal(t, test.want, found)
		})
	}
}
