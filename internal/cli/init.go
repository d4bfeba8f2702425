package cli

import (
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

	"upload-router/internal/build"
	"upload-router/internal/settings"
	"upload-router/internal/stackfile"
	"upload-router/operate"
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
UPLOAD_ROUTER_BUCKET_NAME for bucketName), and --config. On a terminal the Region
and the names are asked for, with what there is as the suggestion; --all asks for
every parameter. An empty answer keeps the suggestion.

Everything that is wrong is told at once, before anything is written. Then all is
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
	flags.StringArrayVarP(&o.config, "config", "c", nil, "set a value, as key=value; may be repeated")
	flags.BoolVar(&o.all, "all", false, "ask for every parameter")
	flags.StringVar(&o.secretsProvider, "secrets-provider", "", "encrypts a new stack's secrets, as pulumi stack init has it")
	return cmd
}

func (o *initOptions) run(cmd *cobra.Command) error {
	ctx, u := cmd.Context(), newUI(cmd, &o.commonFlags)
	name := o.stack
	if name == "" {
		name = os.Getenv("PULUMI_STACK")
	}
	if name == "" {
		return fmt.Errorf("%w: name the stack: --stack dev", errFlag)
	}
	options := o.stackOptions(ctx)
	options.Name, options.SecretsProvider = name, o.secretsProvider
	stack, before, err := existing(ctx, options)
	if err != nil {
		return err
	}
	values, err := o.values(ctx, cmd.InOrStdin(), u, before)
	if err != nil {
		return err
	}
	changes := map[string]string{}
	for key, value := range values {
		if had, has := before[key]; !has || had != value {
			changes[key] = value
		}
	}
	if len(changes) == 0 && stack != nil {
		u.say("Nothing to change: %s has all of it.", name)
		return o.written(u, name, values, changes)
	}
	u.parameters(values, before)
	if !o.yes {
		if err := u.confirm(ctx, "Write this to Pulumi."+name[strings.LastIndex(name, "/")+1:]+".yaml?"); err != nil {
			return err
		}
	}
	if err := set(ctx, stack, options, changes); err != nil {
		return err
	}
	return o.written(u, name, values, changes)
}

// set makes the stack, if there is none yet, and writes the changes.
func set(ctx context.Context, stack *operate.Stack, options operate.StackOptions, changes map[string]string) (err error) {
	if stack == nil {
		if stack, err = operate.CreateStack(ctx, options); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return stack.SetConfig(ctx, changes)
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
	return values, checked(values)
}

func (o *initOptions) written(u *ui, name string, values, changes map[string]string) error {
	if u.json {
		return u.document(struct {
			Stack   string            `json:"stack"`
			Config  map[string]string `json:"config"`
			Changed []string          `json:"changed"`
		}{name, values, append([]string{}, slices.Sorted(maps.Keys(changes))...)})
	}
	if len(changes) > 0 {
		u.say("✓ %s set up. What it still needs: upload-router doctor --stack %s", name, name)
	}
	return nil
}

// existing gives the stack and its configuration. A stack that isn't made yet is
// nil, and may have a file all the same, such as the project's own dev.
func existing(ctx context.Context, options operate.StackOptions) (*operate.Stack, map[string]string, error) {
	stack, err := operate.OpenStack(ctx, options)
	if errors.Is(err, operate.ErrNoStack) {
		before, err := fileOf(options.Name)
		return nil, before, err
	}
	if err != nil {
		return nil, nil, err
	}
	config, err := stack.Config(ctx)
	return stack, config, err
}

// fileOf is what a stack's file has.
func fileOf(name string) (map[string]string, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	plain, err := stackfile.Read(root, name[strings.LastIndex(name, "/")+1:])
	if err != nil && !errors.Is(err, stackfile.ErrMissing) {
		return nil, err
	}
	full := map[string]string{}
	for key, value := range plain {
		full[fullKey(key)] = value
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
		parsed, err := stackfile.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("--from %s: %w", o.from, err)
		}
		for key, value := range parsed {
			values[fullKey(key)] = value
		}
	}
	if region := os.Getenv("AWS_REGION"); region != "" && values[keyRegion] == "" {
		values[keyRegion] = region // what is asked for goes before where one happens to be
	}
	for _, key := range settings.Keys() {
		if value, set := os.LookupEnv(variable(key.Name)); set {
			values[fullKey(key.Name)] = value
		}
	}
	for _, assignment := range o.config {
		key, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return nil, fmt.Errorf("%w: --config %s: write it as key=value", errFlag, assignment)
		}
		values[fullKey(key)] = value
	}
	return values, nil
}

// fullKey is a key with its namespace.
func fullKey(key string) string {
	if strings.Contains(key, ":") {
		return key
	}
	return settings.Namespace + ":" + key
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
		suggestion, has := values[fullKey(name)]
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
			values[fullKey(name)] = answer
		}
	}
	u.say("")
	return nil
}

// checked finds all that is wrong at once.
func checked(values map[string]string) error {
	err := operate.CheckConfig(values)
	if values[keyRegion] == "" {
		err = errors.Join(err, fmt.Errorf("%w: no Region: --config %s=eu-central-1", errFlag, keyRegion))
	}
	return err
}

// parameters shows what is set, and which of it is new.
func (u *ui) parameters(values, before map[string]string) {
	keys := slices.Sorted(maps.Keys(values))
	column := 0
	for i, key := range keys {
		keys[i] = strings.TrimPrefix(key, settings.Namespace+":")
		column = max(column, len(keys[i]))
	}
	for _, key := range keys {
		full := fullKey(key)
		mark := ""
		if had, has := before[full]; !has {
			mark = "  (new)"
		} else if had != values[full] {
			mark = "  (was " + printable(had) + ")"
		}
		// Whole, even if the terminal breaks it: this is what is said yes to.
		u.wrapped(fmt.Sprintf("%-*s  ", column, key), printable(values[full])+mark)
	}
	u.say("All others are the defaults, as docs/configuration.md has them.")
}
