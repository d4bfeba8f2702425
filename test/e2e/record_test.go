//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"
)

// request is one that was made of AWS.
type request struct {
	// service is the name that it was signed for, operation the API's.
	service, operation string
	// values are all texts of the path, the query and the body.
	values []string
	// status is that of the answer.
	status int
}

// recorder stands before the emulator and keeps what is asked of it.
type recorder struct {
	t      *testing.T
	http   *httptest.Server
	routes map[string][]route // of the services that tell operations by method and path

	mu       sync.Mutex
	requests []request
}

// record starts a recorder that ends with the test.
func record(t *testing.T) *recorder {
	t.Helper()
	target, err := url.Parse(os.Getenv(endpoint))
	require.NoError(t, err)
	config := aws.Config{
		Region: region, BaseEndpoint: aws.String("http://192.0.2.1"), HTTPClient: nowhere{}, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	r := &recorder{t: t, routes: map[string][]route{
		"lambda": routesOf(t, lambda.NewFromConfig(config)),
		"s3":     routesOf(t, s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })),
	}}
	proxy := forward(target, func(answer *http.Response) {
		made, _ := answer.Request.Context().Value(requestKey{}).(request)
		made.status = answer.StatusCode
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests = append(r.requests, made)
	})
	r.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, in.WithContext(context.WithValue(in.Context(), requestKey{}, r.read(in, body))))
	}))
	t.Cleanup(r.http.Close)
	return r
}

type requestKey struct{}

// signed finds the service in what a request is signed with.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var signed = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request`)

// read tells what a request is for, by the protocol of its service.
// https://smithy.io/2.0/aws/protocols/index.html
func (r *recorder) read(in *http.Request, body []byte) request {
	var made request
	if found := signed.FindStringSubmatch(in.Header.Get("Authorization")); found != nil {
		made.service = found[1]
	}
	made.values = strings.Split(in.URL.Path, "/")
	for _, values := range in.URL.Query() {
		made.values = append(made.values, values...)
	}
	if target := in.Header.Get("X-Amz-Target"); target != "" {
		made.operation = target[strings.LastIndex(target, ".")+1:]
		made.values = append(made.values, texts(body)...)
		return made
	}
	if strings.HasPrefix(in.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, _ := url.ParseQuery(string(body))
		made.operation = form.Get("Action")
		for _, values := range form {
			made.values = append(made.values, values...)
		}
		return made
	}
	if _, operation, ok := strings.Cut(in.URL.Path, "/operation/"); ok { // Smithy's own, with CBOR
		made.operation = operation
		return made
	}
	made.values = append(made.values, texts(body)...)
	for _, route := range r.routes[made.service] {
		if route.matches(in) {
			made.operation = route.operation
			return made
		}
	}
	r.t.Errorf("no operation is known for %s %s of %q", in.Method, in.URL, made.service)
	return made
}

// texts are the texts in a JSON document, those in texts that are JSON included.
func texts(document []byte) []string {
	var value any
	if json.Unmarshal(document, &value) != nil {
		return nil
	}
	var out []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for k, e := range v {
				out = append(out, k)
				walk(e)
			}
		}
	}
	walk(value)
	return out
}

// route is how a service with a REST protocol tells an operation.
type route struct {
	operation, method string
	path              *regexp.Regexp
	// query are the names that mark the operation, such as policy of a bucket, and x-id with its value.
	query url.Values
}

func (r route) matches(in *http.Request) bool {
	if in.Method != r.method || !r.path.MatchString(strings.TrimSuffix(in.URL.Path, "/")) {
		return false
	}
	query := in.URL.Query()
	for name, values := range r.query {
		if !slices.Equal(query[name], values) {
			return false
		}
	}
	return true
}

// filler is what stands for a name in a route.
const filler = "filler"

var errNowhere = errors.New("nothing is sent")

// nowhere is an HTTP client that keeps the request and sends nothing.
type nowhere struct{}

// Do gives the request to whoever asked for it.
func (nowhere) Do(r *http.Request) (*http.Response, error) {
	if keep, ok := r.Context().Value(requestKey{}).(*http.Request); ok {
		*keep = *r
	}
	return nil, errNowhere
}

// routesOf has the SDK write a request for each operation of a client, with all its inputs filled in, and takes the routes from these. The
// one with the most marks comes first.
func routesOf(t *testing.T, client any) []route {
	t.Helper()
	var routes []route
	value := reflect.ValueOf(client)
	for i := range value.NumMethod() {
		method := value.Type().Method(i)
		if method.Type.NumIn() != 4 || method.Type.NumOut() != 2 { // the client, a context, the input, and options
			continue
		}
		input := reflect.New(method.Type.In(2).Elem())
		fill(input.Elem(), 0)
		var sent http.Request
		ctx := context.WithValue(t.Context(), requestKey{}, &sent)
		value.Method(i).Call([]reflect.Value{reflect.ValueOf(ctx), input})
		if sent.URL == nil { // one that takes more than texts, which nothing here asks for
			continue
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSuffix(sent.URL.Path, "/")), filler, `[^/]+`)
		made := route{operation: method.Name, method: sent.Method, path: regexp.MustCompile("^" + pattern + "$"), query: url.Values{}}
		for name, values := range sent.URL.Query() {
			if name == "x-id" || values[0] == "" || name == "list-type" {
				made.query[name] = values
			}
		}
		routes = append(routes, made)
	}
	slices.SortStableFunc(routes, func(a, b route) int { return len(b.query) - len(a.query) })
	require.NotEmpty(t, routes)
	return routes
}

// fill gives each text, number and structure a value.
func fill(v reflect.Value, depth int) {
	const deepest = 6 // some structures hold themselves
	if !v.CanSet() || depth > deepest {
		return
	}
	switch v.Kind() { //nolint:exhaustive // the others stay as they are
	case reflect.String:
		if v.Type() != reflect.TypeFor[s3types.ChecksumAlgorithm]() { // which the SDK refuses to not know
			v.SetString(filler)
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Interface:
		if reader := reflect.ValueOf(strings.NewReader("")); reader.Type().Implements(v.Type()) {
			v.Set(reader)
		}
	}
}

// asked are the requests since the last call.
func (r *recorder) asked() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.requests
	r.requests = nil
	return out
}

// String names a request.
func (r request) String() string { return fmt.Sprintf("%s:%s (%d)", r.service, r.operation, r.status) }
