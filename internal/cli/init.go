package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/operate"
)

const (
	keyRegion = "aws:region"
	// environmentPrefix is before the names of the variables that set a value: UPLOAD_ROUTER_BUCKET_NAME.
	environmentPrefix = "UPLOAD_ROUTER_"
	// mostParameters is how much is read from a file or a page.
	mostParameters = 1 << 20
)

type initOptions struct {
	commonFlags
	project         string            // whose namespace the keys get
	defaults        map[string]string // by full key, those that the project's file has
	from            string
	config          []string
	all             bool
	secretsProvider string
}

func initCommand() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a stack, or set up one: all its parameters at once",
		Long: `Make a stack, or set up one: all its parameters at once.

Values are taken from, each over the one before: what the stack has, --from (a
file, an https URL, or - for the standard input; YAML or JSON, either the keys or
a whole Pulumi.<stack>.yaml), the environment (AWS_REGION, and
UPLOAD_ROUTER_BUCKET_NAME for bucketName), and --config. A blank value, or null,
takes out what was before: the default counts again. On a terminal the Region
and the names are asked for, with what there is as the suggestion; --all asks for
every parameter. An empty answer keeps the suggestion.

Everything that is wrong is reported at once, before anything is written. Then all is
shown, and after a yes written to Pulumi.<stack>.yaml. Without a terminal nothing
is asked: --yes is needed.

Backend and secrets provider are Pulumi's: ` + "`pulumi login`" + `, PULUMI_BACKEND_URL,
--secrets-provider.`,
		Example: `  upload-router init --stack dev
  upload-router init --stack prod --from https://config.example.com/uploads/prod.yaml
  upload-router init --stack dev --config aws:region=eu-central-1 --config sizeThreshold=1MB --yes
  echo '{"aws:region": "eu-central-1"}' | upload-router init --stack dev --from - --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.stackFlags(cmd)
	o.askFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "take values from this file or https URL; - is the standard input")
	flags.StringArrayVarP(&o.config, "config", "c", nil, configUsage)
	flags.BoolVar(&o.all, "all", false, "ask for every parameter")
	flags.StringVar(&o.secretsProvider, "secrets-provider", "", "encrypts a new stack's secrets, as pulumi stack init has it")
	return cmd
}

func (o *initOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	name := cmp.Or(o.stack, os.Getenv("PULUMI_STACK"))
	if name == "" {
		return fmt.Errorf("%w: name the stack: --stack dev", errFlag)
	}
	options := o.stackOptions(ctx)
	options.Name, options.SecretsProvider = name, o.secretsProvider
	stack, before, err := o.existing(ctx, options)
	if err != nil {
		return err
	}
	values, err := o.values(ctx, cmd.InOrStdin(), u, before)
	if err != nil {
		return err
	}
	changes := o.changes(before, values)
	if changes.none() && stack != nil {
		u.say("Nothing to change: %s has all of it.", name)
		return o.written(u, name, values, changes)
	}
	u.parameters(o, values, before)
	if !o.yes {
		if err := u.confirm(ctx, "Write this to Pulumi."+stackfile.Base(name)+".yaml?"); err != nil {
			return err
		}
	}
	if err := set(ctx, stack, options, changes); err != nil {
		return err
	}
	return o.written(u, name, values, changes)
}

// changes are what is written, by full key.
type changes struct {
	set   map[string]string
	unset []string // in order
}

func (o *initOptions) changes(before, values map[string]string) changes {
	c := changes{set: map[string]string{}}
	for key, value := range values {
		if had, has := before[key]; !has || had != value {
			c.set[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, has := values[key]; !has && before[key] != o.defaults[key] {
			c.unset = append(c.unset, key)
		}
	}
	return c
}

func (c changes) none() bool { return len(c.set)+len(c.unset) == 0 }

// set makes the stack, if there is none yet, and writes the changes.
func set(ctx context.Context, stack *operate.Stack, options operate.StackOptions, changes changes) (err error) {
	if stack == nil {
		if stack, err = operate.CreateStack(ctx, options); err != nil {
			return err
		}
	}
	if len(changes.unset) > 0 {
		if err := stack.UnsetConfig(ctx, changes.unset); err != nil {
			return err
		}
	}
	if len(changes.set) == 0 {
		return nil
	}
	return stack.SetConfig(ctx, changes.set)
}

// values are the checked values by full key, from all sources.
func (o *initOptions) values(ctx context.Context, in io.Reader, u *ui, before map[string]string) (map[string]string, error) {
	values, err := o.given(ctx, in, before)
	if err != nil {
		return nil, err
	}
	if u.interactive() && o.from != "-" && !o.yes {
		if err := o.ask(ctx, u, values); err != nil {
			return nil, err
		}
	}
	given, err := assignments(o.project, o.config)
	if err != nil {
		return nil, err
	}
	fixes := fixer{given: given, above: true}
	return values, fixes.apply(checked(o.project, o.stack, values))
}

func (o *initOptions) written(u *ui, name string, values map[string]string, changes changes) error {
	if u.json {
		return u.document(struct {
			Stack   string            `json:"stack"`
			Config  map[string]string `json:"config"`
			Changed []string          `json:"changed"`
		}{name, values, append(slices.Sorted(maps.Keys(changes.set)), changes.unset...)})
	}
	if !changes.none() {
		u.say("✓ %s set up. What it still needs: upload-router doctor --stack %s", name, name)
	}
	return nil
}

// existing gives the stack and its configuration. A stack that isn't made yet is
// nil, and may have a file all the same, such as the project's own dev.
func (o *initOptions) existing(ctx context.Context, options operate.StackOptions) (*operate.Stack, map[string]string, error) {
	stack, opening := operate.OpenStack(ctx, options)
	if opening != nil && !errors.Is(opening, operate.ErrNoStack) {
		return nil, nil, opening
	}
	root, err := build.Root()
	if err != nil {
		return nil, nil, err
	}
	project, err := stackfile.ReadProject(root)
	if err != nil {
		return nil, nil, err
	}
	o.project, o.defaults = project.Name, map[string]string{}
	for key, value := range project.Values {
		o.defaults[o.fullKey(key)] = value
	}
	var before map[string]string
	if opening != nil {
		before, err = o.fileOf(root, options.Name)
	} else {
		before, err = stack.Config(ctx)
	}
	maps.DeleteFunc(before, blank)
	return stack, before, err
}

// blank says whether a value is what Pulumi hands over for a key that was left blank: an empty text.
func blank(_, value string) bool { return value == "" }

// fileOf is what a stack's file has.
func (o *initOptions) fileOf(root, name string) (map[string]string, error) {
	plain, err := stackfile.Read(root, stackfile.Base(name))
	if err != nil && !errors.Is(err, stackfile.ErrMissing) {
		return nil, err
	}
	full := map[string]string{}
	for key, value := range plain {
		full[o.fullKey(key)] = value
	}
	return full, nil
}

// given are the values by full key, from all sources but the terminal.
func (o *initOptions) given(ctx context.Context, in io.Reader, before map[string]string) (map[string]string, error) {
	values := maps.Clone(before)
	if o.from != "" {
		text, err := fetch(ctx, o.from, in)
		if err != nil {
			return nil, err
		}
		parsed, err := stackfile.Parse(o.project, text)
		if err != nil {
			return nil, fmt.Errorf("--from %s: %w", o.from, err)
		}
		for key, value := range parsed {
			values[o.fullKey(key)] = value
		}
	}
	if region := os.Getenv("AWS_REGION"); region != "" && values[keyRegion] == "" {
		values[keyRegion] = region // what is asked for goes before where one happens to be
	}
	for _, key := range settings.Keys() {
		if value, set := os.LookupEnv(variable(key.Name)); set {
			values[o.fullKey(key.Name)] = value
		}
	}
	given, err := assignments(o.project, o.config)
	if err != nil {
		return nil, err
	}
	for key, value := range given {
		values[o.fullKey(key)] = value
	}
	maps.DeleteFunc(values, blank)
	return values, nil
}

// fullKey is a key with its namespace, which is the project's if it has none.
func (o *initOptions) fullKey(key string) string {
	if strings.Contains(key, ":") {
		return key
	}
	return o.project + ":" + key
}

// variable is the environment variable for a key: bucketName is UPLOAD_ROUTER_BUCKET_NAME.
func variable(key string) string {
	var name strings.Builder
	name.WriteString(environmentPrefix)
	before := 'A'
	for _, r := range key {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToUpper(r))
		before = r
	}
	return name.String()
}

// fetch reads a file, a page or the standard input.
func fetch(ctx context.Context, from string, in io.Reader) ([]byte, error) {
	address, err := url.Parse(from)
	if err != nil || address.Host == "" {
		return readAll(from, in)
	}
	if address.Scheme != "https" {
		return nil, fmt.Errorf("%w: --from %s: %s", errFlag, from, whyHTTPS)
	}
	return fetchPage(ctx, http.DefaultClient, from)
}

const (
	whyHTTPS      = "only https, since whoever is in between could set up your stack"
	mostRedirects = 10 // as net/http has it
)

// onlyHTTPS refuses to be sent on to where others can read and write.
func onlyHTTPS(request *http.Request, via []*http.Request) error {
	if request.URL.Scheme != "https" {
		return fmt.Errorf("%w: it sends on to %s: %s", errFlag, request.URL.Redacted(), whyHTTPS)
	}
	if len(via) >= mostRedirects {
		return fmt.Errorf("%w: it sends on more than %d times", errFlag, mostRedirects)
	}
	return nil
}

func fetchPage(ctx context.Context, client *http.Client, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: --from %s: %w", errFlag, from, err)
	}
	safe := *client
	safe.CheckRedirect = onlyHTTPS
	response, err := safe.Do(request)
	if request, ok := errors.AsType[*url.Error](err); ok && errors.Is(err, errFlag) {
		return nil, fmt.Errorf("--from %s: %w", from, request.Err)
	}
	if err != nil {
		return nil, fmt.Errorf("getting the parameters: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: --from %s: the server answers %s", errFlag, from, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, mostParameters+1))
	if err != nil {
		return nil, fmt.Errorf("getting the parameters: %w", err)
	}
	if len(text) > mostParameters {
		return nil, fmt.Errorf("%w: --from %s: more than %s are no parameters", errFlag, from, humanBytes(mostParameters))
	}
	return text, nil
}

// asked are the parameters that are asked for without --all: requirement A4's, and the key.
func asked() []string {
	return []string{keyRegion, "bucketName", "ecrRepoName", "stateMachineName", "kmsKeyArn"}
}

// ask asks for parameters, one after the other.
func (o *initOptions) ask(ctx context.Context, u *ui, values map[string]string) error {
	u.say("Enter keeps what is in brackets.")
	docs := map[string]string{keyRegion: "Region that everything is made in, such as eu-central-1."}
	suggestions := map[string]string{}
	keys := settings.Keys()
	names := append(make([]string, 0, len(keys)+1), keyRegion)
	for _, key := range keys {
		docs[key.Name] = key.Doc
		if key.Default != "" {
			suggestions[key.Name] = key.Text()
		}
		names = append(names, key.Name)
	}
	for _, name := range names {
		if !o.all && !slices.Contains(asked(), name) {
			continue
		}
		suggestion, has := values[o.fullKey(name)]
		if !has {
			suggestion = suggestions[name]
		}
		u.say("")
		u.wrapped("", docs[name])
		answer, err := u.ask(ctx, fmt.Sprintf("%s [%s]: ", name, suggestion))
		if err != nil {
			return err
		}
		if answer != "" && answer != suggestions[name] || has && answer != "" {
			values[o.fullKey(name)] = answer
		}
	}
	u.say("")
	return nil
}

// checked finds all that is wrong at once.
func checked(project, stack string, values map[string]string) error {
	err := operate.CheckConfig(project, stack, values)
	if values[keyRegion] == "" {
		err = errors.Join(err, fmt.Errorf("%w: no Region: --config %s=eu-central-1", errFlag, keyRegion))
	}
	return err
}

// isDefault says whether a key has what the project's file gives to every stack, and goes on to have it.
func (o *initOptions) isDefault(key string, values, before map[string]string) bool {
	usual, known := o.defaults[key]
	had, has := before[key]
	value, set := values[key]
	return known && has && had == usual && (!set || value == usual)
}

// parameters shows what is set, which of it is new, and what is taken out.
func (u *ui) parameters(o *initOptions, values, before map[string]string) {
	all := maps.Clone(before)
	maps.Copy(all, values)
	maps.DeleteFunc(all, func(key, _ string) bool { return o.isDefault(key, values, before) })
	bare := func(key string) string { return strings.TrimPrefix(key, o.project+":") }
	keys := slices.Sorted(maps.Keys(all))
	column := 0
	for _, key := range keys {
		column = max(column, len(bare(key)))
	}
	for _, key := range keys {
		value, set := values[key]
		had, has := before[key]
		mark := ""
		switch {
		case !set:
			value, mark = "taken out", "  (was "+printable(had)+")"
		case !has:
			mark = "  (new)"
		case had != value:
			mark = "  (was " + printable(had) + ")"
		}
		// Whole, even if the terminal breaks it: this is what is said yes to.
		u.wrapped(fmt.Sprintf("%-*s  ", column, bare(key)), printable(value)+mark)
	}
	u.say("All others are the defaults, as docs/configuration.md has them.")
}
