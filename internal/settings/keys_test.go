package settings

import (
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loadOne loads the keys that are given, and what the first goes with.
func loadOne(k Key, value string) (*Settings, error) {
	rows, values := []Key{k}, map[string]string{k.Name: value}
	if k.Only != nil {
		for _, other := range Keys() {
			if other.Name == k.Only.Key {
				rows, values[other.Name] = append(rows, other), k.Only.Values[0]
			}
		}
	}
	return load(rows, func(key string) (string, bool) { return values[key], true })
}

// otherValue is a value that isn't the default, and what the key's field then holds.
func otherValue(t *testing.T, k Key) (value string, held any) {
	t.Helper()
	if k.field == nil {
		return k.Example, nil
	}
	switch field := k.field(&Settings{}).(type) {
	case *int, *time.Duration:
		number := k.Least
		if len(k.Values) > 0 {
			number = k.Values[0]
		}
		if k.Default == number {
			number = k.Most
		}
		if _, isTime := field.(*time.Duration); isTime {
			return strconv.Itoa(number), time.Duration(number) * time.Second
		}
		return strconv.Itoa(number), number
	case *bool:
		return strconv.FormatBool(k.Default == false), k.Default == false
	case *int64:
		return "1", int64(1)
	case *netip.Prefix:
		return "10.1.0.0/16", netip.MustParsePrefix("10.1.0.0/16")
	case *[]string:
		elements, err := decodeJSON[[]string](k.Example)
		require.NoError(t, err)
		return k.Example, elements
	case *string:
		return k.Example, k.Example
	default:
		value = k.Choices[len(k.Choices)-1].Value
		return value, reflect.ValueOf(value).Convert(reflect.TypeOf(field).Elem()).Interface()
	}
}

func TestEachKeyFillsItsField(t *testing.T) {
	t.Parallel()
	filled := map[string]bool{}
	for _, k := range Keys() {
		if k.field == nil {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			value, held := otherValue(t, k)
			loaded, err := loadOne(k, value)
			require.NoError(t, err)
			assert.Equal(t, held, reflect.ValueOf(k.field(loaded)).Elem().Interface())

			if k.Only != nil && k.Only.Needed {
				return
			}
			loaded, err = loadOne(k, "")
			require.NoError(t, err)
			assert.NotEqual(t, held, reflect.ValueOf(k.field(loaded)).Elem().Interface(), "the default is another one")
		})
		name := fieldOf(t, k)
		require.False(t, filled[name], "two keys fill %s", name)
		filled[name] = true
	}
}

// One of a few values is taken as it is written, and nothing else.
func TestChoices(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		allowed := append(k.choices(), decimals(k.Values)...)
		if k.Type == TypeBoolean {
			allowed = []string{yes, no}
		}
		for _, value := range allowed {
			_, err := loadOne(k, value)
			require.NoError(t, err, k.Name)
			for _, wrong := range []string{"other", "-1", "1.5", strings.ToUpper(value) + " ", " " + value} {
				_, err := loadOne(k, wrong)
				require.ErrorContains(t, err, k.Name+": "+display(wrong)+": must be "+orList(allowed))
			}
		}
	}
}

// A key that goes with some values of another one has to be as by default with all others.
func TestKeysGoWithWhatTheirRowsSay(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		if k.Only == nil {
			continue
		}
		value, _ := otherValue(t, k)
		others := []string{yes, no}
		var other Key
		for _, o := range Keys() {
			if o.Name == k.Only.Key {
				other = o
			}
		}
		if other.Type != TypeBoolean {
			others = other.choices()
		}
		if k.Only.Or != "" {
			others = append([]string{other.Text(), other.Example}, k.Only.Values...)
		}
		for _, with := range others {
			lookup := func(value string) Lookup {
				return func(key string) (string, bool) {
					return map[string]string{k.Name: value, other.Name: with}[key], true
				}
			}
			_, err := load([]Key{k, other}, lookup(value))
			if slices.Contains(k.Only.Values, with) || k.Only.Or != "" && with != other.Text() {
				require.NoError(t, err, "%s with %s %s", k.Name, other.Name, with)
				continue
			}
			require.ErrorContains(t, err, "goes with "+other.Name+" "+k.Only.values()+" only, not with "+with)
			_, err = load([]Key{k, other}, lookup(k.Text()))
			require.NoError(t, err, k.Name)
		}
	}
}

// fieldOf is the name of the field that a key fills.
func fieldOf(t *testing.T, k Key) string {
	t.Helper()
	var s Settings
	pointer := reflect.ValueOf(k.field(&s)).Pointer()
	all := reflect.ValueOf(&s).Elem()
	for i := range all.NumField() {
		if all.Field(i).Addr().Pointer() == pointer && all.Field(i).Type() == reflect.TypeOf(k.field(&s)).Elem() {
			return all.Type().Field(i).Name
		}
	}
	require.Fail(t, "no field of the settings", k.Name)
	return ""
}

// What is said of a key follows from its row: one that nothing else knows of is checked, told from its typing errors and declared.
func TestALeafKeyIsItsRow(t *testing.T) {
	t.Parallel()
	var held int
	row := Key{
		Name: "lambdaThings", Default: 512, Least: 512, Most: 10240, Unit: "MB", Doc: "Things of the Lambda function.",
		Only:  &Only{Key: keyEncryption, Values: []string{string(EncryptionAWS)}, Why: "so it is"},
		field: func(*Settings) any { return &held },
	}
	rows := append(Keys(), row.row())
	with := func(values map[string]string) error {
		_, err := load(rows, func(key string) (string, bool) { value, ok := values[key]; return value, ok },
			func(l *loader) {
				for key := range maps.Keys(values) {
					l.given = append(l.given, key)
				}
			})
		return err
	}
	require.NoError(t, with(map[string]string{"lambdaThings": "2048"}))
	require.Equal(t, 2048, held)
	require.NoError(t, with(nil))
	require.Equal(t, 512, held)
	for want, values := range map[string]map[string]string{
		"lambdaThings: 511: must be a whole number of MB from 512 to 10240\n    to fix it: pulumi config set lambdaThings 512": {
			"lambdaThings": "511",
		},
		"lambdaThings: 02048: must be a whole number of MB from 512 to 10240, without a zero in front\n" +
			"    to fix it: pulumi config set lambdaThings 2048": {"lambdaThings": "02048"},
		"lambdaThnigs: there is no such key, did you mean lambdaThings?\n    to fix it: pulumi config rm lambdaThnigs": {
			"lambdaThnigs": "512",
		},
		"lambdaThings: 513: goes with encryption aws only, not with customer: so it is\n    to fix it: pulumi config rm lambdaThings": {
			"lambdaThings": "513", "encryption": "customer",
		},
	} {
		require.EqualError(t, with(values), "invalid configuration: 1 problem, nothing was created\n  upload-router:"+want)
	}
	const doc = "Things of the Lambda function. 512-10240 MB. With encryption aws only."
	require.Contains(t, markdown(rows), "\n| `lambdaThings` | integer | `512` | "+doc+" |\n")
	require.Contains(t, projectConfig(rows), "\n  lambdaThings:\n    description: >-\n      "+doc+"\n    default: 512\n")
}

// leaf says whether a key is a number or a switch that no other rule names, and that leaves the machine's shape as it is.
func leaf(k Key, rows string) bool {
	return (k.Type == TypeInteger || k.Type == TypeBoolean) && k.Shape == nil && !strings.Contains(rows, `= "`+k.Name+`"`)
}

// A leaf key is named in its row, and its field is read where it is used: in one other file.
func TestALeafKeyIsUsedInOnePlace(t *testing.T) {
	t.Parallel()
	more := map[string]string{
		"lambdaReservedConcurrency": "doctor compares it with the account's quota",
		"abortUploadsAfterDays":     "the bucket for uploads and the one for outputs have it",
		"flowLogs":                  "the documents show the system with it",
		"logRetentionDays":          "the worker writes to the ledger until when a result is in the log",
	}
	const row = "internal/settings/keys.go"
	sources := sourcesOf(t)
	for _, k := range Keys() {
		if !leaf(k, sources[row]) {
			continue
		}
		mentioned := regexp.MustCompile(`"` + k.Name + `"|\.` + fieldOf(t, k) + `\b`)
		var uses []string
		for path, text := range sources {
			if path != row && mentioned.MatchString(text) {
				uses = append(uses, path)
			}
		}
		if reason, allowed := more[k.Name]; allowed {
			assert.Greater(t, len(uses), 1, "%s is a leaf, although: %s", k.Name, reason)
			continue
		}
		assert.Len(t, uses, 1, "%s is its row and its use: %v", k.Name, uses)
	}
}

// sourcesOf are the program's own files, without tests, by their path in the repository.
func sourcesOf(t *testing.T) map[string]string {
	t.Helper()
	sources := map[string]string{}
	root := os.DirFS(filepath.Join("..", ".."))
	require.NoError(t, fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, path)
		sources[path] = string(text)
		return err
	}))
	return sources
}
