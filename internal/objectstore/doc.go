// Package objectstore is an S3 server for the local run and for tests: it listens on 127.0.0.1, keeps the bodies of
// objects in a temporary directory, so that a file of many gigabytes needs no memory, and forgets everything on Close.
//
// Deleting several objects, uploads from a browser's form and bucket configuration are github.com/johannesboyne/gofakes3
// over a backend of this package. In version 1.2.0 it answers some requests otherwise than Amazon S3, and those are
// handled here in front of it, as S3 documents them:
//
//   - Listings, with max-keys=0 and encoding-type=url, and the XML of keys with control characters, which S3 writes in a
//     way that parsers refuse.
//   - CopyObject and UploadPartCopy of a version, with the source's checksum algorithm, metadata and tags; multipart uploads, with the
//     checksum and size of the whole object at their end; tags.
//   - Keys whose elements .. lead above the bucket: 400 without a body.
//   - GET and HEAD: If-Match and its relatives, versionId on HEAD, delete markers (404 or 405 with
//     x-amz-delete-marker), partNumber, and the checksum of the object when x-amz-checksum-mode is ENABLED. It is the
//     one the uploader sent, or the full-object CRC-64/NVME if the uploader sent none, as S3 keeps it.
//   - PUT of objects and parts: aws-chunked bodies with a checksum in the trailer, which is what AWS SDKs send over TLS,
//     and the verification of every checksum the client declares.
//   - DELETE of the version "null", and sub-resources that do not exist here, which are refused with NotImplemented.
//
// What is not as in S3 is listed in docs/differences.md: requests are not authenticated, say, and there is no TLS.
//
// For every new version the server reports what an "Object Created" event needs (Stored), whichever client made it.
// It follows the AWS pages of the S3 API reference (requirements A32, C39).
package objectstore
