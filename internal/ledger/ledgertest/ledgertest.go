// Package ledgertest has a ledger in memory, for tests.
package ledgertest

import (
	"net/http/httptest"
	"testing"
	"time"

	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/ledger"
)

// Table is an empty ledger.
func Table() *dynamodb.Table {
	return &dynamodb.Table{
		Keys: []string{ledger.Object, ledger.Version}, TTL: ledger.Expires,
		Indexes: map[string]dynamodb.Index{
			ledger.Index: {Keys: []string{ledger.Day, ledger.Started}, Projected: ledger.Projected()},
		},
	}
}

// Serve serves a table, whatever its name, in DynamoDB's protocol until the end of the test, and gives the URL.
func Serve(tb testing.TB, table *dynamodb.Table) string {
	tb.Helper()
	server := httptest.NewServer(dynamodb.Handler(time.Now, func(string) *dynamodb.Table { return table }))
	tb.Cleanup(server.Close)
	return server.URL
}
