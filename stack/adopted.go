package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/uploads"
)

// exportAdopted gives the stack the outputs about buckets that are there already: their names, the keys that they are encrypted with, and
// what each bucket's policy must hold if what is processed is tagged, as nobody but who has made them changes that.
func (s *system) exportAdopted(outputs pulumi.Map) {
	if len(s.cfg.Buckets) == 0 {
		return
	}
	outputs["bucketNames"] = pulumi.ToStringArray(s.cfg.Buckets)
	if len(s.cfg.BucketKMSKeyARNs) > 0 {
		outputs["bucketKmsKeyArns"] = pulumi.ToStringArray(s.cfg.BucketKMSKeyARNs)
	}
	if !s.tagsUploads() {
		return
	}
	policies := pulumi.StringMap{}
	for i, arn := range uploads.ARNs(s.at, s.cfg.Buckets) {
		policies[s.cfg.Buckets[i]] = uploads.TagPolicy(pulumi.String(arn+"/*"), s.tags(), s.backfills.RoleARN)
	}
	outputs["bucketPolicies"] = policies
}
