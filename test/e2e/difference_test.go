package e2e_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/stack"
)

// difference is what a change does to what is deployed, as far as two evaluations of the program say: what is created, deleted,
// and which inputs become others. What the provider makes of an input is replacing's.
type difference struct {
	// steps are what is done to which resources.
	steps map[string]string
	// asks are what only the provider knows: what it makes of these inputs, changed together, of a kind of resource; and whether it takes
	// an input of a kind that is created; and what it answers when it is called.
	asks map[string]bool
	// refused is what is protected from it.
	refused error
}

var (
	errDeleted  = errors.New("cannot be deleted")
	errReplaced = errors.New("unable to replace resource")
)

// replacing are the inputs of each kind that replace the resource when they change, as the provider has it. The tests with the
// engine preview a change of each input that is changed at all, and so hold this list against the provider.
var replacing = map[string][]string{
	"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup":   {"vpcId"},
	"aws:ec2/routeTable:RouteTable":                       {"vpcId"},
	"aws:ec2/routeTableAssociation:RouteTableAssociation": {"subnetId"},
	"aws:ec2/securityGroup:SecurityGroup":                 {"vpcId"},
	"aws:ec2/subnet:Subnet":                               {"cidrBlock"},
	"aws:ec2/vpc:Vpc":                                     {"cidrBlock"},
	"aws:ecr/lifecyclePolicy:LifecyclePolicy":             {"repository"},
	"aws:ecr/repository:Repository":                       {"name", "encryptionConfigurations"},
	"aws:ecs/taskDefinition:TaskDefinition": {
		"containerDefinitions", "cpu", "ephemeralStorage",
	},
	"aws:lambda/function:Function": {"packageType"},
	"aws:s3/bucketV2:BucketV2":     {"bucket"},
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2":                       {"bucket"},
	"aws:s3/bucketNotification:BucketNotification":                                               {"bucket"},
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls":                                     {"bucket"},
	"aws:s3/bucketPolicy:BucketPolicy":                                                           {"bucket"},
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":                                     {"bucket"},
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": {"bucket"},
	"aws:s3/bucketVersioningV2:BucketVersioningV2":                                               {"bucket"},
	"aws:sfn/stateMachine:StateMachine":                                                          {"name"},
	"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule":                                    {"securityGroupId"},
	"docker:index/image:Image":                                                                   {"imageName"},
}

// leftAlone are the inputs, or fields of them, that AWS keeps as they are when they aren't given any more: the provider sees no
// change in that.
var leftAlone = map[string][]string{
	"aws:dynamodb/table:Table":      {"serverSideEncryption.kmsKeyArn"},
	"aws:ec2/routeTable:RouteTable": {"routes"},
}

// base is a stack that changes are made of.
type base struct {
	name    string
	config  map[string]string
	changes map[string]change
}

// bases are the stack of the default configuration, those that have a file, and prod without its protection.
func bases(t *testing.T) []base {
	t.Helper()
	read := func(name string) map[string]string {
		config, err := stackfile.Read(root, name)
		require.NoError(t, err)
		return config
	}
	unprotected := read("prod")
	unprotected["protect"] = "false"
	return []base{
		{"defaults", map[string]string{"forceDestroy": "true"}, fromDefaults},
		{"dev", read("dev"), fromDev},
		{"prod", read("prod"), fromProd},
		{"unprotected", unprotected, fromUnprotected},
	}
}

// evaluated is the program with a configuration.
func evaluated(t *testing.T, config map[string]string, built build.Artifacts) *declared.System {
	t.Helper()
	system, err := declared.Evaluate(func(ctx *pulumi.Context) error {
		return stack.Declare(ctx, func(context.Context, build.Target) (build.Artifacts, error) { return built, nil })
	}, declared.Options{Stack: stackName, Config: config, Subnets: factors.SubnetIDs()})
	require.NoError(t, err)
	return system
}

// stackName is that of the evaluated stacks.
const stackName = "difference"

// artifacts are processors that nobody has built, in a folder of the test's.
func artifacts(t *testing.T) build.Artifacts {
	t.Helper()
	folder := t.TempDir()
	here, err := filepath.Abs(root)
	require.NoError(t, err)
	below, err := filepath.Rel(here, folder)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "function.zip"), make([]byte, 22), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(folder, "image"), 0o700))
	return build.Artifacts{
		FunctionArchive: filepath.Join(below, "function.zip"), ImageContext: filepath.Join(below, "image"), ImageTag: "content",
		Dockerfile: build.Dockerfile, ImagePlatform: "linux/amd64",
	}
}

// with is a configuration with a change, whose parts of lists and objects are put together as `pulumi config set --path` does it. A list
// begins anew.
func with(t *testing.T, configured map[string]string, c change) map[string]string {
	t.Helper()
	there := map[string]string{defaultVPC: "vpc-0123456789abcdef0"}
	for i, id := range factors.SubnetIDs() {
		there[defaultSubnet+strconv.Itoa(i)] = id
	}
	out := maps.Clone(configured)
	parts := config.Map{}
	for _, path := range slices.Sorted(maps.Keys(c.config)) {
		value := os.Expand(c.config[path], func(name string) string { return there[name] })
		end := strings.IndexAny(path, "[.")
		if end < 0 {
			out[path] = value
			continue
		}
		key := config.MustMakeKey(settings.Namespace, path[:end])
		_, begun := parts[key]
		if before := out[path[:end]]; !begun && path[end] == '.' && before != "" {
			parts[key] = config.NewObjectValue(before)
		}
		require.NoError(t, parts.Set(config.MustMakeKey(settings.Namespace, path), config.NewValue(value), true))
	}
	for key, value := range parts {
		text, err := value.Value(config.NopDecrypter)
		require.NoError(t, err)
		out[key.Name()] = text
	}
	return out
}

// differ compares two evaluations. What is replaced has other outputs, which are not known before: all inputs made of one change.
func differ(before, after *declared.System) difference {
	d := difference{steps: map[string]string{}, asks: map[string]bool{}}
	old, now := byURN(before), byURN(after)
	step := func(of declared.Resource, op string) {
		name := strings.TrimPrefix(of.Name, settings.Namespace+"-"+stackName+"-")
		d.steps[name] = merged(d.steps[name], op)
	}
	for urn, was := range old {
		if _, still := now[urn]; !still {
			step(was, "delete")
			d.protect(was, errDeleted)
		}
	}
	for _, function := range after.Functions {
		if !slices.Contains(before.Functions, function) {
			d.asks[asksCalls+function] = true
		}
	}
	unknown := map[string][]string{} // the outputs of what is replaced
	for known := -1; known < len(unknown); {
		known = len(unknown)
		for urn, is := range now {
			was, there := old[urn]
			if !there {
				step(is, "create")
				for input := range is.Inputs {
					d.asks[asksCreates+is.Type+" "+input] = true
				}
				continue
			}
			inputs := changed(was, is, unknown)
			if !reflect.DeepEqual(was.Inputs, is.Inputs) || len(inputs) > 0 {
				d.asks[asksChanges+is.Type+" "+strings.Join(marked(is, inputs), ", ")] = true
			}
			switch replaces := slices.ContainsFunc(inputs, func(input string) bool { return slices.Contains(replacing[is.Type], input) }); {
			case replaces && unknown[urn] == nil:
				unknown[urn] = computed(is)
				step(is, "replace")
				d.protect(was, errReplaced)
			case len(inputs) > 0:
				step(is, "update")
			}
		}
	}
	return d
}

func (d *difference) protect(r declared.Resource, from error) {
	if r.Protect {
		d.refused = errors.Join(d.refused, fmt.Errorf("%s: %w", r.Name, from))
	}
}

// merged makes one of the steps of a replacement.
func merged(before, op string) string {
	if strings.Contains(before, "replace") || strings.Contains(op, "replace") {
		return "replace"
	}
	return op
}

// computed are what AWS makes up for a resource: its outputs that no input gives, which no plan knows before they are there.
func computed(r declared.Resource) []string {
	given := map[any]bool{}
	for _, value := range r.Inputs {
		if text, ok := value.(string); ok {
			given[text] = true
		}
	}
	out := []string{r.URN} // in any case something
	for name, value := range r.Outputs {
		if text, ok := value.(string); ok && !given[text] && name != "arnWithoutRevision" { // which nothing is made of
			out = append(out, text)
		}
	}
	if r.ID != "" && !given[r.ID] {
		out = append(out, r.ID)
	}
	return out
}

// changed are the inputs that differ, or are made of something that isn't known, of which there is some for each resource.
func changed(was, is declared.Resource, unknown map[string][]string) []string {
	var out []string
	inputs := maps.Clone(was.Inputs)
	maps.Copy(inputs, is.Inputs)
	for _, input := range slices.Sorted(maps.Keys(inputs)) {
		text := fmt.Sprint(is.Inputs[input])
		made := slices.ContainsFunc(is.PropertyDependencies[input], func(urn string) bool {
			return slices.ContainsFunc(unknown[urn], func(value string) bool { return strings.Contains(text, value) })
		})
		if made || !reflect.DeepEqual(kept(is, input, was.Inputs[input]), is.Inputs[input]) {
			out = append(out, input)
		}
	}
	return out
}

// notGiven follows the name of an input that is taken away.
const notGiven = " (not given)"

// marked are inputs, with those that are taken away marked: a provider may see no change in that.
func marked(is declared.Resource, inputs []string) []string {
	out := slices.Clone(inputs)
	for i, input := range out {
		if is.Inputs[input] == nil {
			out[i] += notGiven
		}
	}
	return out
}

// kept is what an input was, without what is left alone when the resource doesn't give it any more.
func kept(is declared.Resource, input string, was any) any {
	if is.Inputs[input] == nil && slices.Contains(leftAlone[is.Type], input) {
		return nil
	}
	fields, ok := was.(map[string]any)
	if !ok {
		return was
	}
	fields = maps.Clone(fields)
	maps.DeleteFunc(fields, func(field string, _ any) bool {
		_, given := is.Object(input)[field]
		return !given && slices.Contains(leftAlone[is.Type], input+"."+field)
	})
	return fields
}

// byURN are the resources by what tells them apart.
func byURN(system *declared.System) map[string]declared.Resource {
	out := map[string]declared.Resource{}
	for _, r := range system.Resources {
		out[r.URN] = r
	}
	return out
}

// compared are the differences of every change, which are made once.
var compared struct {
	sync.Mutex

	differences map[string]difference
}

// differences are those of every change, by the stack's name and the change's.
func differences(t *testing.T) map[string]difference {
	t.Helper()
	compared.Lock()
	defer compared.Unlock()
	if compared.differences != nil {
		return compared.differences
	}
	out := map[string]difference{}
	for _, of := range bases(t) {
		built := artifacts(t)
		from := evaluated(t, of.config, built)
		for name, c := range of.changes {
			code := built
			if c.code != nil {
				code = c.code(t, built)
			}
			out[of.name+": "+name] = differ(from, evaluated(t, with(t, of.config, c), code))
		}
	}
	compared.differences = out
	return out
}

// asked are the changes that the engine previews: each that asks the provider something that no other of them does, those that ask the
// most first, and those that the engine must refuse.
func asked(t *testing.T) map[string]bool {
	t.Helper()
	all := differences(t)
	names := slices.Sorted(maps.Keys(all))
	seen, out := map[string]bool{}, map[string]bool{}
	for input := range differ(&declared.System{}, evaluated(t, bases(t)[0].config, artifacts(t))).asks {
		seen[input] = true // it is deployed
	}
	fresh := func(name string) (n int) {
		for ask := range all[name].asks {
			if !seen[ask] {
				n++
			}
		}
		return n
	}
	for {
		best := slices.MaxFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(fresh(a), fresh(b)), strings.Compare(b, a)) })
		if fresh(best) == 0 {
			break
		}
		out[best] = true
		maps.Copy(seen, all[best].asks)
	}
	for name, d := range all {
		if d.refused != nil {
			out[name] = true
		}
	}
	return out
}

// TestOneKnobDeclaresOnlyWhatItShould makes each change by itself, in two evaluations of the program. What the provider makes of
// them is previewed by the tests with the engine, once each.
func TestOneKnobDeclaresOnlyWhatItShould(t *testing.T) {
	t.Parallel()
	all := differences(t)
	for _, of := range bases(t) {
		for name, c := range of.changes {
			t.Run(of.name+", "+name, func(t *testing.T) {
				t.Parallel()
				d := all[of.name+": "+name]
				c.require(t, d.steps, d.refused)
			})
		}
	}
}

// Whatever is taken for what replaces a resource, or for what doesn't, is previewed with the engine, and of each input in the list a
// change shows that it is this one.
func TestTheEngineIsAskedWhatOnlyItKnows(t *testing.T) {
	t.Parallel()
	names, all := asked(t), differences(t)
	require.Less(t, len(names), len(all))
	open, seen := map[string]bool{}, map[string]bool{}
	for name, d := range all {
		into := open
		if names[name] {
			into = seen
		}
		maps.Copy(into, d.asks)
	}
	shown := map[string]bool{}
	for ask := range seen {
		delete(open, ask)
		typ, inputs, _ := strings.Cut(strings.TrimPrefix(ask, asksChanges), " ")
		var replaces []string
		for input := range strings.SplitSeq(inputs, ", ") {
			if input = strings.TrimSuffix(input, notGiven); slices.Contains(replacing[typ], input) {
				replaces = append(replaces, input)
			}
		}
		if len(replaces) == 1 { // so it is this one that does
			shown[typ+" "+replaces[0]] = true
		}
	}
	for ask := range open {
		require.False(t, strings.HasPrefix(ask, asksChanges), "nobody asks what %s", ask)
	}
	for typ, inputs := range replacing {
		for _, input := range inputs {
			require.True(t, shown[typ+" "+input], "nothing shows %s of %s", input, typ)
		}
	}
	t.Logf("%d of %d changes are previewed", len(names), len(all))
}

// What begins the name of what the engine is asked.
const (
	asksChanges = "changes "
	asksCreates = "creates "
	asksCalls   = "calls "
)
