// The official Go SDK (cos-go-sdk-v5) does a day's work; one line of JSON for each scenario.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"
)

const mib = 1 << 20

var (
	way    = os.Getenv("INTEROP_WAY")
	port   = os.Getenv("INTEROP_PORT")
	region = os.Getenv("INTEROP_REGION")
	bucket = os.Getenv("INTEROP_BUCKET")
	other  = os.Getenv("INTEROP_OTHER_BUCKET")
	ctx    = context.Background()
	folder string
)

// dial stands in for a resolver that maps names below localhost to loopback, which glibc's does not.
func dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
}

func transport() *http.Transport {
	switch way {
	case "Proxy":
		proxy, _ := url.Parse("http://127.0.0.1:" + port)
		return &http.Transport{Proxy: http.ProxyURL(proxy)}
	case "URL":
		return &http.Transport{DialContext: dial}
	default:
		return &http.Transport{}
	}
}

func host(bucket string) string {
	if way == "URL" {
		return fmt.Sprintf("%s.cos.%s.localhost:%s", bucket, region, port)
	}
	return fmt.Sprintf("%s.cos.%s.myqcloud.com", bucket, region)
}

func clientOf(bucket, secretID, secretKey string) *cos.Client {
	address := "http://" + host(bucket)
	service := "http://service.cos.myqcloud.com"
	if way == "Host" {
		address = "http://127.0.0.1:" + port
		service = address
	}
	if way == "URL" {
		service = "http://service.cos.localhost:" + port
	}
	bucketURL, err := url.Parse(address)
	check(err)
	serviceURL, err := url.Parse(service)
	check(err)
	client := cos.NewClient(&cos.BaseURL{BucketURL: bucketURL, ServiceURL: serviceURL}, &http.Client{
		Transport: &cos.AuthorizationTransport{SecretID: secretID, SecretKey: secretKey, Transport: transport()},
	})
	if way == "Host" {
		client.Host = host(bucket)
	}
	return client
}

func client(bucket string) *cos.Client {
	return clientOf(bucket, os.Getenv("INTEROP_SECRET_ID"), os.Getenv("INTEROP_SECRET_KEY"))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(found, expected any) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Errorf("%.300v is not %.300v", found, expected))
	}
}

// refused checks that the error is a refusal with this status and code, and has the ids of the request.
func refused(status int, code string, err error) {
	var refusal *cos.ErrorResponse
	if !errors.As(err, &refusal) {
		panic(fmt.Errorf("%v is no refusal", err))
	}
	same(fmt.Sprint(refusal.Response.StatusCode, " ", refusal.Code), fmt.Sprint(status, " ", code))
	if refusal.Response.Header.Get("x-cos-request-id") == "" || (code != "" && refusal.TraceID == "") {
		panic("no ids")
	}
}

func content(length int, seed string) []byte {
	var out []byte
	block := []byte(seed)
	for len(out) < length {
		sum := sha256.Sum256(block)
		block = sum[:]
		out = append(out, block...)
	}
	return out[:length]
}

func digest(data []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func bodyOf(c *cos.Client, key string, options *cos.ObjectGetOptions) []byte {
	answer, err := c.Object.Get(ctx, key, options)
	check(err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	check(err)
	return data
}

// signHost is false with a Host: the SDK would sign that of the URL, the address, and no bucket is told by that.
func signHost() bool {
	return way != "Host"
}

// plain does what curl would with a URL that the SDK has signed.
func plain(method string, signed *url.URL, body io.Reader) (int, http.Header, []byte) {
	request, err := http.NewRequest(method, signed.String(), body)
	check(err)
	if way == "Host" {
		request.Host = host(bucket)
	}
	answer, err := (&http.Client{Transport: transport()}).Do(request)
	check(err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	check(err)
	return answer.StatusCode, answer.Header, data
}

func buckets(c *cos.Client) {
	fresh := client(other)
	_, err := fresh.Bucket.Put(ctx, nil)
	check(err)
	_, err = fresh.Bucket.Head(ctx)
	check(err)
	location, _, err := fresh.Bucket.GetLocation(ctx)
	check(err)
	same(location.Location, region)
	if way != "Host" { // The client has one Host, which names the bucket.
		list, _, err := c.Service.Get(ctx)
		check(err)
		names := []string{}
		for _, one := range list.Buckets {
			names = append(names, one.Name)
		}
		same(names, []string{bucket, other})
	}
	_, err = fresh.Bucket.Put(ctx, nil)
	refused(409, "BucketAlreadyOwnedByYou", err)
	_, err = fresh.Bucket.Delete(ctx)
	check(err)
	exists, err := fresh.Bucket.IsExist(ctx)
	check(err)
	same(exists, false)
}

func objects(c *cos.Client) {
	data := content(300001, "object")
	meta := http.Header{}
	meta.Set("x-cos-meta-a", "1 2")
	_, err := c.Object.Put(ctx, "object", bytes.NewReader(data), &cos.ObjectPutOptions{
		ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{ContentType: "text/x", XCosMetaXXX: &meta},
	})
	check(err)
	same(digest(bodyOf(c, "object", nil)), digest(data))
	same(bodyOf(c, "object", &cos.ObjectGetOptions{Range: "bytes=10-19"}), data[10:20])
	head, err := c.Object.Head(ctx, "object", nil)
	check(err)
	same(
		[]string{head.Header.Get("Content-Type"), head.Header.Get("Content-Length"), head.Header.Get("x-cos-meta-a")},
		[]string{"text/x", "300001", "1 2"},
	)
	_, err = c.Object.Put(ctx, "object", strings.NewReader(""), nil)
	check(err)
	same(len(bodyOf(c, "object", nil)), 0)
	_, err = c.Object.Delete(ctx, "object")
	check(err)
	exists, err := c.Object.IsExist(ctx, "object")
	check(err)
	same(exists, false)
}

func streams(c *cos.Client) {
	// A reader whose length nobody knows goes chunked.
	data := content(2*mib+3, "stream")
	_, err := c.Object.Put(ctx, "stream", io.MultiReader(bytes.NewReader(data)), nil)
	check(err)
	same(digest(bodyOf(c, "stream", nil)), digest(data))
}

func keys(c *cos.Client) {
	for _, key := range []string{
		"folder/sub folder/with spaces.txt", "a+b=c&d", "100% %25 %2F", "question?mark#hash", "quotes'\"and<tags>",
		"报告（终稿） 😀.txt", "double//slash", "dots/.././file", "!'()*~;:@,$[]{}|\\^`",
	} {
		data := []byte(key)
		_, err := c.Object.Put(ctx, key, bytes.NewReader(data), nil)
		check(err)
		same(string(bodyOf(c, key, nil)), key)
		list, _, err := c.Bucket.Get(ctx, &cos.BucketGetOptions{Prefix: key})
		check(err)
		same(len(list.Contents), 1)
		same(list.Contents[0].Key, key)
		signed, err := c.Object.GetPresignedURL2(ctx, http.MethodGet, key, time.Hour, nil, signHost())
		check(err)
		_, _, found := plain(http.MethodGet, signed, nil)
		same(string(found), key)
		if !strings.Contains(key, "?") { // What follows is a version for the SDK.
			_, _, err = c.Object.Copy(ctx, "copied key", host(bucket)+"/"+key, nil)
			check(err)
			same(string(bodyOf(c, "copied key", nil)), key)
		}
		_, err = c.Object.Delete(ctx, key)
		check(err)
	}
}

func lists(c *cos.Client) {
	var names []string
	for n := 0; n < 12; n++ {
		names = append(names, fmt.Sprintf("list/%02d/file", n))
	}
	names = append(names, "list/file", "list/z")
	var all []cos.Object
	for _, name := range names {
		_, err := c.Object.Put(ctx, name, strings.NewReader("x"), nil)
		check(err)
		all = append(all, cos.Object{Key: name})
	}
	var found []string
	for marker, page := "", 0; page < 20; page++ {
		list, _, err := c.Bucket.Get(ctx, &cos.BucketGetOptions{Prefix: "list/", MaxKeys: 5, Marker: marker})
		check(err)
		for _, one := range list.Contents {
			found = append(found, one.Key)
		}
		if !list.IsTruncated {
			break
		}
		marker = list.NextMarker
	}
	same(found, names)
	list, _, err := c.Bucket.Get(ctx, &cos.BucketGetOptions{Prefix: "list/", Delimiter: "/", EncodingType: "url"})
	check(err)
	same(len(list.CommonPrefixes), 12)
	same(len(list.Contents), 2)
	gone, _, err := c.Object.DeleteMulti(ctx, &cos.ObjectDeleteMultiOptions{Objects: all})
	check(err)
	var deleted []string
	for _, one := range gone.DeletedObjects {
		deleted = append(deleted, one.Key)
	}
	sort.Strings(deleted)
	same(deleted, names)
}

func multipart(c *cos.Client) {
	parts := [][]byte{content(mib, "1"), content(mib+1, "2"), content(5, "3")}
	begun, _, err := c.Object.InitiateMultipartUpload(ctx, "parts", nil)
	check(err)
	var done []cos.Object
	for index, part := range parts {
		answer, err := c.Object.UploadPart(ctx, "parts", begun.UploadID, index+1, bytes.NewReader(part), nil)
		check(err)
		done = append(done, cos.Object{PartNumber: index + 1, ETag: answer.Header.Get("ETag")})
	}
	listed, _, err := c.Object.ListParts(ctx, "parts", begun.UploadID, nil)
	check(err)
	same(len(listed.Parts), 3)
	for index, part := range listed.Parts {
		same([]any{part.PartNumber, part.ETag, part.Size}, []any{index + 1, done[index].ETag, int64(len(parts[index]))})
	}
	uploads, _, err := c.Bucket.ListMultipartUploads(ctx, &cos.ListMultipartUploadsOptions{Prefix: "parts"})
	check(err)
	same(len(uploads.Uploads), 1)
	same(uploads.Uploads[0].UploadID, begun.UploadID)
	_, _, err = c.Object.CompleteMultipartUpload(ctx, "parts", begun.UploadID, &cos.CompleteMultipartUploadOptions{Parts: done})
	check(err)
	same(digest(bodyOf(c, "parts", nil)), digest(bytes.Join(parts, nil)))

	again, _, err := c.Object.InitiateMultipartUpload(ctx, "aborted", nil)
	check(err)
	_, err = c.Object.AbortMultipartUpload(ctx, "aborted", again.UploadID)
	check(err)
	_, _, err = c.Object.ListParts(ctx, "aborted", again.UploadID, nil)
	refused(404, "NoSuchUpload", err)
}

func transfers(c *cos.Client) {
	data := content(5*mib+7, "transfer")
	up, down := filepath.Join(folder, "up"), filepath.Join(folder, "down")
	check(os.WriteFile(up, data, 0o600))
	_, _, err := c.Object.Upload(ctx, "transfer", up, &cos.MultiUploadOptions{PartSize: 1, ThreadPoolSize: 4})
	check(err)
	_, err = c.Object.Download(ctx, "transfer", down, &cos.MultiDownloadOptions{PartSize: 1, ThreadPoolSize: 4})
	check(err)
	found, err := os.ReadFile(down)
	check(err)
	same(digest(found), digest(data))
	source := host(bucket) + "/transfer"
	_, _, err = c.Object.Copy(ctx, "copied", source, nil)
	check(err)
	same(digest(bodyOf(c, "copied", nil)), digest(data))
	begun, _, err := c.Object.InitiateMultipartUpload(ctx, "part copy", nil)
	check(err)
	var parts []cos.Object
	for index, from := range []int{0, 3 * mib} {
		to := []int{3*mib - 1, len(data) - 1}[index]
		part, _, err := c.Object.CopyPart(ctx, "part copy", begun.UploadID, index+1, source, &cos.ObjectCopyPartOptions{
			XCosCopySourceRange: "bytes=" + strconv.Itoa(from) + "-" + strconv.Itoa(to),
		})
		check(err)
		parts = append(parts, cos.Object{PartNumber: index + 1, ETag: part.ETag})
	}
	_, _, err = c.Object.CompleteMultipartUpload(ctx, "part copy", begun.UploadID, &cos.CompleteMultipartUploadOptions{Parts: parts})
	check(err)
	same(digest(bodyOf(c, "part copy", nil)), digest(data))
}

func appends(c *cos.Client) {
	next, _, err := c.Object.Append(ctx, "log", 0, strings.NewReader("one\n"), nil)
	check(err)
	same(next, 4)
	_, _, err = c.Object.Append(ctx, "log", next, strings.NewReader("two\n"), nil)
	check(err)
	same(string(bodyOf(c, "log", nil)), "one\ntwo\n")
	_, _, err = c.Object.Append(ctx, "log", 1, strings.NewReader("x"), nil)
	refused(409, "AppendPositionErr", err)
}

func signedURLs(c *cos.Client) {
	_, err := c.Object.Put(ctx, "signed/one", strings.NewReader("shared"), nil)
	check(err)
	query := url.Values{"response-content-type": {"text/x shared"}}
	for _, merged := range []bool{false, true} {
		for _, delimiter := range []bool{false, true} {
			signed, err := c.Object.GetPresignedURL2(ctx, http.MethodGet, "signed/one", time.Hour, &cos.PresignedURLOptions{
				Query: &query, SignMerged: merged, EncodeDelimiter: delimiter,
			}, signHost())
			check(err)
			status, header, found := plain(http.MethodGet, signed, nil)
			same([]any{status, string(found), header.Get("Content-Type")}, []any{200, "shared", "text/x shared"})
			status, _, _ = plain(http.MethodDelete, signed, nil)
			same(status, 403)
		}
	}
	signed, err := c.Object.GetPresignedURL2(ctx, http.MethodPut, "signed/in", time.Hour, nil, signHost())
	check(err)
	status, _, _ := plain(http.MethodPut, signed, strings.NewReader("from outside"))
	same(status, 200)
	same(string(bodyOf(c, "signed/in", nil)), "from outside")
}

func refusals(c *cos.Client) {
	_, err := c.Object.Get(ctx, "not there", nil)
	refused(404, "NoSuchKey", err)
	_, err = c.Object.Head(ctx, "not there", nil)
	refused(404, "", err)
	same(cos.IsNotFoundError(err), true)
	_, _, err = client("nowhere-1250000000").Bucket.Get(ctx, nil)
	refused(404, "NoSuchBucket", err)
	_, err = c.Object.Get(ctx, "signed/one", &cos.ObjectGetOptions{Range: "bytes=100-"})
	refused(416, "InvalidRange", err)
	wrong := clientOf(bucket, os.Getenv("INTEROP_SECRET_ID"), "anothersecretkey0000")
	_, err = wrong.Object.Get(ctx, "signed/one", nil)
	refused(403, "SignatureDoesNotMatch", err)
}

func earlyRefusals(*cos.Client) {
	nobody := clientOf(bucket, "AKIDnobodyhasthiskeyatall0000000", "anothersecretkey0000")
	nobody.Conf.RetryOpt.Count = 1
	data := bytes.Repeat(content(mib, "early"), 32)
	for time := 0; time < 20; time++ {
		_, err := nobody.Object.Put(ctx, "early", bytes.NewReader(data), nil)
		refused(403, "InvalidAccessKeyId", err)
	}
}

func outcome(scenario func(*cos.Client)) (fault any) {
	defer func() {
		if reason := recover(); reason != nil {
			fault = fmt.Sprint(reason)
		}
	}()
	scenario(client(bucket))
	return nil
}

func main() {
	var err error
	folder, err = os.MkdirTemp("", "cosbox-go-")
	check(err)
	defer os.RemoveAll(folder)
	for _, scenario := range []struct {
		name string
		run  func(*cos.Client)
	}{
		{"buckets", buckets}, {"objects", objects}, {"streams", streams}, {"keys", keys}, {"lists", lists},
		{"multipart", multipart}, {"transfers", transfers}, {"appends", appends}, {"signed_urls", signedURLs},
		{"refusals", refusals}, {"early_refusals", earlyRefusals},
	} {
		line, err := json.Marshal(map[string]any{"name": scenario.name, "fault": outcome(scenario.run)})
		check(err)
		fmt.Println(string(line))
	}
}
