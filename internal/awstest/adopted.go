package awstest

import (
	"io"
	"net/http"
	"strings"
)

// Adopted is a bucket that is none of the stack's. What it has is S3's XML, without the element around it, or JSON for the policy; empty is
// that it has none.
type Adopted struct {
	// Region is where it is. Owner is whose it is. Default: the stack's own.
	Region, Owner string
	// Lifecycle are rules, Notification are configurations, Versioning is a status, Encryption is a rule.
	Lifecycle, Notification, Versioning, Encryption, Policy string
	// Meanwhile is what somebody else puts as its notification configuration as soon as it was put. Empty: nobody does.
	Meanwhile string
}

// Adopt has a bucket that is none of the stack's.
func (s *Server) Adopt(bucket string, is Adopted) { s.set(func() { s.adopted[bucket] = &is }) }

// Notification is the notification configuration of a bucket that is none of the stack's.
func (s *Server) Notification(bucket string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.adopted[bucket].Notification
}

// property is a part of how a bucket is set up.
type property struct {
	operation, before, content, after, none string
}

// property is what a request is about.
func (a *Adopted) property(r *http.Request) property {
	element := func(operation, name, content, none string) property {
		return property{operation, "<" + name + ">", content, "</" + name + ">", none}
	}
	query := r.URL.Query()
	switch {
	case query.Has("lifecycle"):
		return element("GetBucketLifecycleConfiguration", "LifecycleConfiguration", a.Lifecycle, "NoSuchLifecycleConfiguration")
	case query.Has("notification"):
		return element(map[bool]string{true: "Put", false: "Get"}[r.Method == http.MethodPut]+"BucketNotificationConfiguration",
			"NotificationConfiguration", a.Notification, "")
	case query.Has("versioning"):
		return element("GetBucketVersioning", "VersioningConfiguration", a.Versioning, "")
	case query.Has("encryption"):
		return element("GetBucketEncryption", "ServerSideEncryptionConfiguration", a.Encryption, "ServerSideEncryptionConfigurationNotFoundError")
	case query.Has("policy"):
		return property{"GetBucketPolicy", "", a.Policy, "", "NoSuchBucketPolicy"}
	}
	return property{operation: "HeadBucket"}
}

// serveAdopted answers what is asked of a bucket that is none of the stack's.
func (s *Server) serveAdopted(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, ok := s.adopted[strings.Trim(r.URL.Path, "/")]
	if !ok {
		return false
	}
	w.Header().Set("X-Amz-Bucket-Region", bucket.Region)
	of := bucket.property(r)
	s.calls[of.operation]++
	expected := r.Header.Get("X-Amz-Expected-Bucket-Owner")
	status, body := http.StatusOK, of.before+of.content+of.after
	switch code := s.refused[of.operation]; {
	case code != "":
		status, body = http.StatusForbidden, "<Error><Code>"+code+"</Code><Message>refused by the test</Message></Error>"
	case expected != "" && bucket.Owner != "" && expected != bucket.Owner:
		status, body = http.StatusForbidden, "<Error><Code>AccessDenied</Code></Error>"
	case bucket.Region != Region:
		status, body = http.StatusMovedPermanently, "<Error><Code>PermanentRedirect</Code></Error>"
	case r.Method == http.MethodPut:
		body = ""
		text, err := io.ReadAll(r.Body)
		if err != nil {
			status = http.StatusBadRequest
			break
		}
		bucket.Notification = content(string(text))
		if bucket.Meanwhile != "" {
			bucket.Notification = bucket.Meanwhile
		}
	case of.content == "" && of.none != "":
		status, body = http.StatusNotFound, "<Error><Code>"+of.none+"</Code></Error>"
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body)
	}
	return true
}

// content is what is within the one element of a document.
func content(document string) string {
	start, end := strings.Index(document, ">"), strings.LastIndex(document, "</")
	if start < 0 || end < start {
		return "" // an empty element
	}
	return document[start+1 : end]
}
