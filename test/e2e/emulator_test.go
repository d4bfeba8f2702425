//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// endpoint is the environment variable that names where AWS is.
const endpoint = "AWS_ENDPOINT_URL"

// answerAfter is how much later than the emulator has them its answers come, as a Region's would.
const answerAfter = 20 * time.Millisecond

// answerLater puts a proxy before the emulator whose answers come later, and those of Step Functions one by one. smithy-go closes a
// request's body once the answer is there; where net/http hasn't seen the body's end by then, which takes a busy machine and an answer at
// once, it closes the connection, and the answer is lost. The SDK tries again, and is told that what it makes is there already, and that
// what it deletes isn't. https://github.com/aws/aws-sdk-go-v2/issues/2737
func answerLater() (end func(), err error) {
	emulator, err := url.Parse(os.Getenv(endpoint))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	proxy := forward(emulator, func(*http.Response) { time.Sleep(answerAfter) })
	// The emulator's parser keeps which query language it reads for all that it reads at a time, and a stack has two state machines.
	var definitions sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.Header.Get("X-Amz-Target"), "AWSStepFunctions.") {
			definitions.Lock()
			defer definitions.Unlock()
		}
		proxy.ServeHTTP(w, req)
	}))
	if err := os.Setenv(endpoint, server.URL); err != nil {
		return nil, fmt.Errorf("naming the proxy: %w", err)
	}
	return server.Close, nil
}

// forward hands requests on, and shows each answer before it is given.
func forward(to *url.URL, answered func(*http.Response)) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host // which is signed
		},
		ModifyResponse: func(answer *http.Response) error {
			answered(answer)
			return nil
		},
	}
}
