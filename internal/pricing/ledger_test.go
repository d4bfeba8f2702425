package pricing_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/pricing"
)

// A million uploads are $2.50, and $0.625 more for each further KiB of their results.
func TestWhatTheLedgerTakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		begins int
		result float64
		want   float64
	}{
		"no result":               {1, 0, 2.50},
		"an item of 1 KiB":        {1, pricing.LedgerRoom, 2.50},
		"a byte more":             {1, pricing.LedgerRoom + 1, 3.125},
		"two KiB":                 {1, pricing.LedgerRoom + 1024, 3.125},
		"the processor's result":  {1, pricing.UsualResult, 2.50},
		"the largest result":      {1, 4096, 2.50 + 4*0.625},
		"begun before it has run": {2, 0, 3.75},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.InDelta(t, test.want, 1e6*pricing.LedgerWrites(test.begins, test.result)*pricing.TableWrite, 1e-9)
		})
	}
	table, all := pricing.LedgerBytes(300)
	require.InDelta(t, 1020, table, 0)
	require.InDelta(t, 1620, all, 0)
}

// What the document says of the ledger's price is what is computed of the prices here.
func TestTheDocumentHasTheLedgersPrices(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/costs.md")
	require.NoError(t, err)
	document := strings.Join(strings.Fields(string(text)), " ")
	million := func(writes float64) float64 { return 1e6 * writes * pricing.TableWrite }
	for _, says := range []string{
		fmt.Sprintf("The ledger takes $%.2f for a million small files", million(pricing.LedgerWrites(1, pricing.UsualResult))),
		fmt.Sprintf("(each $%.3f for a million, of up to 1 KiB)", million(1)),
		fmt.Sprintf("A large file takes six, $%.2f", million(pricing.LedgerWrites(2, pricing.UsualResult))),
		fmt.Sprintf("A result of more than %d bytes makes an item of more than 1 KiB", pricing.LedgerRoom),
		fmt.Sprintf("$%.2f for a GB and month beyond the first %d GB", pricing.TableGBMonth, pricing.TableFreeGB),
		fmt.Sprintf("a million items, by `results`, about $%.2f", 1e6*pricing.LedgerReads(pricing.UsualResult)*pricing.TableRead),
	} {
		require.Contains(t, document, says)
	}
	require.InDelta(t, 0.561, pricing.LedgerReads(0), 1e-3)
	require.InDelta(t, 1.061, pricing.LedgerReads(4096), 1e-3, "an item of more than 4 KiB")
}
