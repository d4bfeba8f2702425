// Package objectstore is an S3 server for the local run and for tests: it listens on 127.0.0.1, keeps the bodies of
// objects in a temporary directory, so that a file of many gigabytes needs no memory, and forgets everything on Close.
//
// Listing, deleting several objects, copying, bucket configuration and the bookkeeping of multipart uploads are
// github.com/johannesboyne/gofakes3 over a backend of this package. In version 1.2.0 it answers some requests otherwise
// than Amazon S3, and those are handled here in front of it, as S3 documents them:
//
//   - GET and HEAD: If-Match and its relatives, versionId on HEAD, delete markers (404 or 405 with
//     x-amz-delete-marker), partNumber, and the checksum of the object when x-amz-checksum-mode is ENABLED. It is the
//     one the uploader sent, or the full-object CRC-64/NVME if the uploader sent none, as S3 keeps it.
//   - PUT of objects and parts: aws-chunked bodies with a checksum in the trailer, which is what AWS SDKs send over TLS,
//     and the verification of every checksum the client declares.
//   - DELETE of the version "null", and sub-resources that do not exist here, which are refused with NotImplemented.
//
// What is not as in S3: requests are not authenticated, there is no TLS, CopyObject reads the current version only and
// names the source's version in its answer, and a listing cannot show control characters of a key, since XML cannot.
//
// For every new version the server reports what an "Object Created" event needs (Stored), whichever client made it.
// It follows the AWS pages of the S3 API reference (requirements A32, C39).
package objectstore
