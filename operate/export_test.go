package operate

// NextName is for the specification of the names that a redrive gives.
var NextName = nextName

// ConsolePage is a page of AWS's console.
func (o Outputs) ConsolePage(service, page string) string { return o.consolePage(service, page) }
