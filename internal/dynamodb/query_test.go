package dynamodb_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
)

// queryCase is a line of testdata/queries.jsonl: a query of a table with the items of queried, and the page, or the refusal. test/engines
// asks dynalite the same.
type queryCase struct {
	Case string
	dynamodb.QueryInput

	// Found are the sort keys of the items of the page, and Last is that of its last one, if there may be more.
	Found   []string
	Scanned int
	Last    string
	Shown   dynamodb.Item // the first item
	Error   string
	// Dynalite is why dynalite answers something else, and Source where DynamoDB's answer is known from if that isn't its documentation.
	Dynalite, Source string
}

// queried are the items: five versions of one object, in one partition of an index, another object's, and one that is in no index.
func queried() []dynamodb.Item {
	var out []dynamodb.Item
	for i := range 5 {
		out = append(out, dynamodb.Item{
			"object": s("o"), "version": s("v" + strconv.Itoa(i)), "day": s("monday"), "started": s("1" + strconv.Itoa(i)),
			"status": s([]string{"failed", "succeeded"}[i%2]), "etag": s("e"), "size": n(strconv.Itoa(i)),
		})
	}
	return append(out,
		dynamodb.Item{"object": s("p"), "version": s("v0"), "day": s("tuesday"), "started": s("20"), "status": s("failed")},
		dynamodb.Item{"object": s("o"), "version": s("w"), "holders": ss("a")})
}

// queryTable is the table of queried.
func queryTable(t *testing.T) *dynamodb.Table {
	t.Helper()
	table := &dynamodb.Table{Keys: []string{"object", "version"}, Indexes: map[string]dynamodb.Index{
		"timeline": {Keys: []string{"day", "started"}, Projected: []string{"status", "size"}},
	}}
	for _, item := range queried() {
		require.NoError(t, table.Put(now(), dynamodb.PutInput{Item: item}))
	}
	return table
}

func TestQueries(t *testing.T) {
	t.Parallel()
	for _, c := range readCases[queryCase](t, "testdata/queries.jsonl") {
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			sort := "version"
			if c.IndexName != "" {
				sort = "started"
			}
			page, err := queryTable(t).Query(now(), c.QueryInput)
			if c.Error != "" {
				require.EqualError(t, err, c.Error)
				return
			}
			require.NoError(t, err)
			var found []string
			for _, item := range page.Items {
				if value := item[sort]; value.S != nil {
					found = append(found, *value.S)
				}
			}
			assert.Equal(t, c.Found, found)
			assert.Equal(t, c.Scanned, page.ScannedCount)
			if c.Last == "" {
				assert.Nil(t, page.LastEvaluatedKey)
			} else {
				assert.Equal(t, c.Last, *page.LastEvaluatedKey[sort].S)
			}
			if c.Shown != nil {
				assert.Equal(t, c.Shown, page.Items[0])
			}
		})
	}
}

// Pages end at 1 MB, and going from each to the next gives every item once, forwards and backwards.
func TestPages(t *testing.T) {
	t.Parallel()
	table := ledgertest.Table()
	const items = 30
	for i := range items {
		item := dynamodb.Item{
			"object": s("o"), "version": s(fmt.Sprintf("%02d", i)), "day": s("monday"), "started": s("at once"),
			"status": s(strings.Repeat("x", 100<<10)),
		}
		require.NoError(t, table.Put(now(), dynamodb.PutInput{Item: item}))
	}
	for _, forward := range []bool{true, false} {
		for _, index := range []string{"", ledger.Index} {
			key := map[string]string{"": "object", ledger.Index: "day"}[index]
			value := map[string]string{"": "o", ledger.Index: "monday"}[index]
			in := dynamodb.QueryInput{KeyConditionExpression: new("#k = :k"), IndexName: index, ScanIndexForward: &forward}
			in.ExpressionAttributeNames = map[string]string{"#k": key}
			in.ExpressionAttributeValues = map[string]dynamodb.Attribute{":k": s(value)}
			pages, seen := 0, map[string]bool{}
			for {
				page, err := table.Query(now(), in)
				require.NoError(t, err)
				pages++
				for _, item := range page.Items {
					seen[*item["version"].S] = true
				}
				if in.ExclusiveStartKey = page.LastEvaluatedKey; in.ExclusiveStartKey == nil {
					break
				}
			}
			assert.Equal(t, 3, pages)
			assert.Len(t, seen, items)
		}
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	table := queryTable(t)
	ask := func(keys ...dynamodb.Item) (*dynamodb.BatchGetOutput, error) {
		return table.BatchGet(now(), dynamodb.BatchGetInput{RequestItems: map[string]dynamodb.KeysAndAttributes{"t": {
			Keys: keys, ProjectionExpression: new("#s"), ExpressionAttributeNames: map[string]string{"#s": "status"},
		}}})
	}
	at := func(version string) dynamodb.Item { return dynamodb.Item{"object": s("o"), "version": s(version)} }
	out, err := ask(at("v0"), at("v1"), at("none"), at("w"))
	require.NoError(t, err)
	assert.Empty(t, out.UnprocessedKeys)
	assert.Equal(t, []dynamodb.Item{{"status": s("failed")}, {"status": s("succeeded")}, {}}, out.Responses["t"])

	_, err = ask(at("v0"), at("v0"))
	require.EqualError(t, err, "ValidationException: Provided list of item keys contains duplicates")
	var many []dynamodb.Item
	for i := range 101 {
		many = append(many, at(strconv.Itoa(i)))
	}
	_, err = ask(many...)
	require.EqualError(t, err, "ValidationException: Too many items requested for the BatchGetItem call")

	for i := range 50 {
		item := at("large" + strconv.Itoa(i))
		item["x"] = s(strings.Repeat("x", 390<<10))
		require.NoError(t, table.Put(now(), dynamodb.PutInput{Item: item}))
		many[i] = at("large" + strconv.Itoa(i))
	}
	out, err = ask(many[:50]...)
	require.NoError(t, err)
	assert.Len(t, out.Responses["t"], 42, "16 MB")
	assert.Len(t, out.UnprocessedKeys["t"].Keys, 8)
}

// AWS's own SDK takes what the server says.
func TestTheSDKAsks(t *testing.T) {
	t.Parallel()
	table := ledgertest.Table()
	client := awsdynamodb.New(awsdynamodb.Options{
		BaseEndpoint: aws.String(ledgertest.Serve(t, table)), Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	keys := map[string]types.AttributeValue{
		"object": &types.AttributeValueMemberS{Value: "o"}, "version": &types.AttributeValueMemberS{Value: "v"},
	}
	in := &awsdynamodb.UpdateItemInput{
		TableName: aws.String("t"), Key: keys, UpdateExpression: aws.String("SET #day = :d, #started = :d ADD #holders :h"),
		ConditionExpression:      aws.String("attribute_not_exists(#day)"),
		ExpressionAttributeNames: map[string]string{"#day": "day", "#started": "started", "#holders": "holders"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":d": &types.AttributeValueMemberS{Value: "monday"}, ":h": &types.AttributeValueMemberSS{Value: []string{"x"}},
		},
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	out, err := client.UpdateItem(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, out.Attributes, 5)
	_, err = client.UpdateItem(t.Context(), in)
	refused := new(types.ConditionalCheckFailedException)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, out.Attributes, refused.Item)
	assert.Equal(t, "The conditional request failed", refused.ErrorMessage())

	page, err := client.Query(t.Context(), &awsdynamodb.QueryInput{
		TableName: aws.String("t"), IndexName: aws.String(ledger.Index), KeyConditionExpression: aws.String("#day = :d"), Limit: aws.Int32(1),
		ExpressionAttributeNames:  map[string]string{"#day": "day"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":d": &types.AttributeValueMemberS{Value: "monday"}},
	})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	assert.NotContains(t, page.Items[0], "holders", "the index doesn't have them")
	require.Len(t, page.LastEvaluatedKey, 4)

	batch, err := client.BatchGetItem(t.Context(), &awsdynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		"t": {Keys: []map[string]types.AttributeValue{keys}},
	}})
	require.NoError(t, err)
	require.Equal(t, []map[string]types.AttributeValue{out.Attributes}, batch.Responses["t"])

	_, err = client.GetItem(t.Context(), &awsdynamodb.GetItemInput{TableName: aws.String("t"), Key: map[string]types.AttributeValue{}})
	require.ErrorContains(t, err, "api error ValidationException: The provided key element does not match the schema")
}

// IAM is told the partition key's values, of an index those of its own.
func TestLeadingKeys(t *testing.T) {
	t.Parallel()
	const object, version = `"object":{"S":"o"}`, `"version":{"S":"v"}`
	const batch = `{"RequestItems":{"t":{"Keys":[{` + object + `},{"object":{"S":"p"}},{` + object + `}]}}}`
	query := func(index, key string) string {
		return `{"TableName":"t"` + index + `,"KeyConditionExpression":"#k = :k","ExpressionAttributeNames":{"#k":"` + key + `"},` +
			`"ExpressionAttributeValues":{":k":{"S":"x"}}}`
	}
	for name, c := range map[string]struct {
		operation, body string
		want            []string
	}{
		"GetItem":             {"GetItem", `{"Key":{` + object + `,` + version + `}}`, []string{"o"}},
		"UpdateItem":          {"UpdateItem", `{"Key":{` + object + `,` + version + `},"UpdateExpression":"SET #a = :a"}`, []string{"o"}},
		"PutItem":             {"PutItem", `{"Item":{` + object + `,` + version + `,"day":{"S":"d"}}}`, []string{"o"}},
		"several":             {"BatchGetItem", batch, []string{"o", "p"}},
		"Query":               {"Query", query("", "object"), []string{"x"}},
		"Query of an index":   {"Query", query(`,"IndexName":"timeline"`, "day"), []string{"x"}},
		"another's key":       {"Query", query(`,"IndexName":"timeline"`, "object"), nil},
		"none":                {"UpdateItem", `{"Key":{` + version + `}}`, nil},
		"of another type":     {"UpdateItem", `{"Key":{"object":{"N":"1"},` + version + `}}`, nil},
		"what isn't known":    {"Query", `{"KeyConditions":{}}`, nil},
		"what isn't a call":   {"GetItem", `[]`, nil},
		"the items of a scan": {"Scan", `{"TableName":"t"}`, nil},
	} {
		assert.Equal(t, c.want, queryTable(t).LeadingKeys(c.operation, []byte(c.body)), name)
	}
}
