package asl

import "strings"

// IntegrationName is what a task's resource calls, in any partition, such as lambda:invoke. It is empty for one that is no service
// integration but an ARN of its own, such as a function's.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html
func IntegrationName(resource string) string {
	_, name, _ := strings.Cut(resource, ":::")
	return name
}

// IsJob says whether the tasks of a resource, or of an [IntegrationName], end later than their call.
func IsJob(resource string) bool {
	return strings.HasSuffix(resource, ".waitForTaskToken") || strings.Contains(resource, ".sync")
}
