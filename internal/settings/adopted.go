package settings

// adopted refuses, beside buckets that are there already, what is for one of the stack's own.
func (l *loader) adopted(s *Settings) {
	if len(s.Buckets) == 0 {
		return
	}
	const theirs = ", and nothing of " + keyBuckets + " is changed, which others made"
	for _, row := range []struct {
		key string
		is  bool
		of  string
	}{
		{keyBucketName, s.BucketName != "", "is the name of a bucket of the stack's own"},
		{keyAbortUploads, l.changed(keyAbortUploads) && s.OutputBucket != OutputCreate, "is of a bucket's lifecycle"},
		{keyKeepVersionsDays, s.NoncurrentVersionsAfterDays > 0 && s.OutputBucket != OutputCreate, "is of a bucket's lifecycle"},
		{keyExpireProcessed, s.ExpireProcessedAfterDays > 0, "is of a bucket's lifecycle"},
	} {
		if row.is {
			l.reportAt(row.key, row.key, l.raw(row.key), row.of+theirs, remove(row.key))
		}
	}
}

// changed says whether a key has another value than by default.
func (l *loader) changed(key string) bool { return l.raw(key) != l.keys[key].Text() }
