// Package reader reads an uploaded object from S3, and verifies it. What it holds to is said in package upload.
//
// The usual entry is [Process]; [Open] is the same without a processing function around it.
package reader
