package pricing

import "math"

// The sizes of what the ledger has of an upload, in bytes: of an item without its result, whose bucket and key have 100 characters
// together, and of what the index has of it. DynamoDB keeps 100 bytes more of each. UsualResult is how long the result of the processor
// that comes is as JSON, LedgerRoom how long one can be in an item that has no more than 1 KiB.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
const (
	LedgerItem  = 620
	LedgerIndex = 500
	ledgerExtra = 100

	UsualResult = 360
	LedgerRoom  = kib - LedgerItem
)

const kib = 1024

// LedgerWrites is how many write units an upload takes whose processing succeeds at once: two for each beginning, of the table and of its
// index, and as many for the end, in which the item has its result. Each KiB beyond the first is one more.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
func LedgerWrites(begins int, result float64) float64 {
	return 2*float64(begins) + math.Ceil((LedgerItem+result)/kib) + 1
}

// LedgerReads is how many read units it takes to read an upload back, as `results` does: half a unit for each 4 KiB of its item, as the
// reads are eventually consistent, and for 4 KiB of the index, in whose pages it is counted with its bytes.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
func LedgerReads(result float64) float64 {
	const page = 4 * kib
	return math.Ceil((LedgerItem+result)/page)/2 + float64(LedgerIndex)/page/2
}

// LedgerBytes is how much an upload takes in the table, and in all with the index.
func LedgerBytes(result float64) (table, all float64) {
	table = LedgerItem + result + ledgerExtra
	return table, table + LedgerIndex + ledgerExtra
}
