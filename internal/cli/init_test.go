package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInitTakesValuesFromEverywhere(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("UPLOAD_ROUTER_LAMBDA_MEMORY", "1024")
	t.Setenv("UPLOAD_ROUTER_TASK_CPU", "512")
	file := filepath.Join(t.TempDir(), "parameters.yaml")
	require.NoError(t, os.WriteFile(file, []byte("sizeThreshold: 1MB\nlambdaMemory: 256\nnotify: [ops@example.com]\n"), 0o600))
	o := initOptions{project: "upload-router", from: file, config: []string{"taskCpu=2048"}}
	values, err := o.given(t.Context(), nil, map[string]string{"upload-router:forceDestroy": "true", "upload-router:sizeThreshold": "2MB"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"aws:region":                  "eu-west-1",           // of the environment, as nothing else says
		"upload-router:forceDestroy":  "true",                // of the stack
		"upload-router:sizeThreshold": "1MB",                 // of the file, over the stack
		"upload-router:notify":        `["ops@example.com"]`, // of the file
		"upload-router:lambdaMemory":  "1024",                // of the environment, over the file
		"upload-router:taskCpu":       "2048",                // of a flag, over the environment
	}, values)

	o = initOptions{project: "upload-router", from: "-", config: []string{"aws:region=us-east-1"}}
	values, err = o.given(t.Context(), strings.NewReader(`{"taskTimeout": 900}`), map[string]string{})
	require.NoError(t, err)
	require.Equal(t, "us-east-1", values["aws:region"])
	require.Equal(t, "900", values["upload-router:taskTimeout"])
}

// Case S7. A blank value and null take out what was there before, and the default counts again.
func TestS7InitTakesABlankValueForNone(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("UPLOAD_ROUTER_TASK_CPU", "")
	before := map[string]string{
		"aws:region": "eu-west-1", "upload-router:stateMachineName": "machine", "upload-router:taskCpu": "512", "upload-router:image": "a:1",
		"upload-router:lambdaMemory": "512", "upload-router:taskMemory": "4096",
	}
	o := initOptions{
		project: "upload-router", from: "-", config: []string{"image=", "lambdaMemory="},
		defaults: map[string]string{"upload-router:lambdaMemory": "512"},
	}
	values, err := o.given(t.Context(), strings.NewReader(`{"stateMachineName": null, "bucketName": null, "notify": ""}`), before)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"aws:region": "eu-west-1", "upload-router:taskMemory": "4096"}, values)
	require.Equal(t, changes{
		set: map[string]string{}, unset: []string{"upload-router:image", "upload-router:stateMachineName", "upload-router:taskCpu"},
	}, o.changes(before, values), "what counts anyway is no change")

	values, err = o.given(t.Context(), strings.NewReader("aws:region:\n"), before)
	require.NoError(t, err)
	require.ErrorContains(t, checked("upload-router", "", values), "no Region")
}

func TestInitTakesAPage(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/prod.yaml":
			_, _ = w.Write([]byte("sizeThreshold: 1MB\n"))
		case "/moved.yaml":
			http.Redirect(w, r, "/prod.yaml", http.StatusFound)
		case "/round.yaml":
			http.Redirect(w, r, "/round.yaml", http.StatusFound)
		case "/plain.yaml":
			http.Redirect(w, r, "http://user:secret@config.example.com/prod.yaml", http.StatusFound)
		case "/large.yaml":
			_, _ = w.Write(make([]byte, mostParameters+1))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	text, err := fetchPage(t.Context(), server.Client(), server.URL+"/prod.yaml")
	require.NoError(t, err)
	require.Equal(t, "sizeThreshold: 1MB\n", string(text))
	text, err = fetchPage(t.Context(), server.Client(), server.URL+"/moved.yaml")
	require.NoError(t, err)
	require.Equal(t, "sizeThreshold: 1MB\n", string(text))
	_, err = fetchPage(t.Context(), server.Client(), server.URL+"/plain.yaml")
	require.ErrorIs(t, err, errFlag)
	require.EqualError(t, err, "--from "+server.URL+"/plain.yaml: wrong flag: it sends on to "+
		"http://user:xxxxx@config.example.com/prod.yaml: only https, since whoever is in between could set up your stack")
	_, err = fetchPage(t.Context(), server.Client(), server.URL+"/round.yaml")
	require.ErrorContains(t, err, "it sends on more than 10 times")
	_, err = fetchPage(t.Context(), server.Client(), server.URL+"/nowhere.yaml")
	require.ErrorContains(t, err, "the server answers 404 Not Found")
	_, err = fetchPage(t.Context(), server.Client(), server.URL+"/large.yaml")
	require.ErrorContains(t, err, "more than 1.0 MiB are no parameters")
	_, err = fetch(t.Context(), "http://config.example.com/prod.yaml", nil)
	require.ErrorIs(t, err, errFlag)
	require.ErrorContains(t, err, "only https")
}

func TestInitRefusesAllThatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	err := checked("upload-router", "", map[string]string{"upload-router:taskCpu": "100", "upload-router:bucketname": "a"})
	require.ErrorContains(t, err, "upload-router:taskCpu: 100")
	require.ErrorContains(t, err, "did you mean bucketName?")
	require.ErrorContains(t, err, "no Region")
	err = checked("team-a", "", map[string]string{
		"aws:region": "nowhere", "team-a:sizeThreshhold": "20MB", "team-a:notify[0]": "x", "upload-router:taskCpu": "512",
	})
	require.ErrorContains(t, err, "invalid configuration: 4 problems")
	require.NoError(t, checked("upload-router", "", map[string]string{"aws:region": "eu-west-1"}))
}

func TestVariablesAreNamedAfterKeys(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"bucketName": "UPLOAD_ROUTER_BUCKET_NAME", "vpcId": "UPLOAD_ROUTER_VPC_ID", "image": "UPLOAD_ROUTER_IMAGE",
		"kmsKeyArn": "UPLOAD_ROUTER_KMS_KEY_ARN", "taskCpu": "UPLOAD_ROUTER_TASK_CPU", "subnetIds": "UPLOAD_ROUTER_SUBNET_IDS",
	} {
		require.Equal(t, want, variable(key))
	}
}

// What every stack has by the project's file isn't what is said yes to.
func TestInitShowsNoDefaults(t *testing.T) {
	t.Parallel()
	o := &initOptions{project: "p", defaults: map[string]string{"p:same": "1", "p:left": "1", "p:other": "1", "p:back": "1", "p:never": "1"}}
	before := map[string]string{"p:same": "1", "p:left": "1", "p:other": "1", "p:back": "2", "p:set": "1"}
	values := map[string]string{"p:same": "1", "p:other": "2", "p:back": "1", "p:set": "1", "p:new": "1", "p:never": "1"}
	var out bytes.Buffer
	(&ui{out: &out}).parameters(o, values, before)
	require.Equal(t, `back   1  (was 2)
never  1  (new)
new    1  (new)
other  2  (was 1)
set    1
All others are the defaults, as docs/configuration.md has them.
`, out.String())
}
