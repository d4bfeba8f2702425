package machine

import (
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/claimtable"
)

// errorCondition is what DynamoDB answers when an item isn't as it was expected.
const errorCondition = "DynamoDB.ConditionalCheckFailedException"

// The parameters of DynamoDB's calls.
const (
	parameterKey       = "Key"
	parameterCondition = "ConditionExpression"
	parameterUpdate    = "UpdateExpression"
	parameterNames     = "ExpressionAttributeNames"
	parameterValues    = "ExpressionAttributeValues"
)

// itemKey is the key of an item, by a path or an intrinsic for each part.
func itemKey(object, version string) map[string]any {
	return map[string]any{claimtable.HashKey: text(object), claimtable.RangeKey: text(version)}
}

// text is a string attribute that is computed.
func text(path string) map[string]any { return map[string]any{"S.$": path} }

// word is a string attribute that is fixed.
func word(value string) map[string]any { return map[string]any{"S": value} }

// names gives attributes the placeholders that expressions name them by: #name for name. Some of them would be reserved words.
func names(attributes ...string) map[string]any {
	out := make(map[string]any, len(attributes))
	for _, a := range attributes {
		out["#"+a] = a
	}
	return out
}

// call is a call of the table. What DynamoDB gets wrong or has no capacity for is
// tried again, an item that isn't as expected is not: that is an answer.
func (to References) call(resource string, parameters map[string]any) *asl.Task {
	parameters["TableName"] = to.TableName
	return &asl.Task{
		Resource:       to.integration(resource),
		Parameters:     parameters,
		ResultPath:     asl.Discard,
		TimeoutSeconds: seconds(ItemTimeout),
		Retry:          []asl.Retrier{{ErrorEquals: []string{errorCondition}, MaxAttempts: new(0)}, ItemRetries.of(asl.ErrorAll)},
	}
}
