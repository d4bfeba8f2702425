package pricing

// HoursPerMonth is what AWS counts a month as.
const HoursPerMonth = 730

// The prices of what is around the processors, in US dollars, on demand, for [Region] on [Date] as AWS has published them, and without any
// free tier.
const (
	// PutRequest is for one PUT, or one part of a multipart upload. https://aws.amazon.com/s3/pricing/
	PutRequest = 0.005 / 1e3
	// TagMonth is for one tag of an object. https://aws.amazon.com/about-aws/whats-new/2025/03/amazon-s3-reduces-pricing-object-tagging
	TagMonth = 0.0065 / 1e4
	// StorageGBMonth is for one GB in S3 Standard, first tier. https://aws.amazon.com/s3/pricing/
	StorageGBMonth = 0.023
	// LogGB is for one GB taken in by CloudWatch Logs. https://aws.amazon.com/cloudwatch/pricing/
	LogGB = 0.50
	// AlarmMonth is for one alarm of one metric, DashboardMonth for one dashboard. https://aws.amazon.com/cloudwatch/pricing/
	AlarmMonth     = 0.10
	DashboardMonth = 3.00
	// MetricMonth is for one metric of one's own that has data in each hour: AWS charges by the hour, and for those with data alone.
	MetricMonth = 0.30
	// KeyMonth is for one customer key. Its first rotation adds as much, and its second; further ones add nothing.
	// https://aws.amazon.com/kms/pricing/
	KeyMonth = 1.00
	// KeyRequest is for one use of a key.
	KeyRequest = 0.03 / 1e4
	// Publish is for one message to SNS, Email for one e-mail of it. https://aws.amazon.com/sns/pricing/
	Publish = 0.50 / 1e6
	Email   = 2.00 / 1e5
	// TableWrite is for one write unit on demand, which is a write of up to 1 KiB, and TableRead for one read unit, of up to 4 KiB.
	// https://aws.amazon.com/dynamodb/pricing/on-demand/
	TableWrite = 0.625 / 1e6
	TableRead  = 0.125 / 1e6
	// TableGBMonth is for one GB in a table of the standard class beyond the first TableFreeGB of an account in a Region, which its price list
	// has for nothing. RecoveryGBMonth is for one GB of a table that can be put back to any second.
	TableGBMonth    = 0.25
	TableFreeGB     = 25
	RecoveryGBMonth = 0.20
	// EndpointHour is for one interface endpoint in one zone. https://aws.amazon.com/privatelink/pricing/
	EndpointHour = 0.01
	// Event is for one event of up to 64 KB that S3 sends to EventBridge: those are "opt-in data events", which AWS charges for, other than
	// most of its services' own events. https://aws.amazon.com/eventbridge/pricing/
	Event = 1.00 / 1e6
	// Trace is for one recorded trace. https://aws.amazon.com/xray/pricing/
	Trace = 5.00 / 1e6
)
