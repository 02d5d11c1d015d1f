// Puts 32 MiB to the URL in the first argument, 20 times, and prints status and error code of each answer.
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
)

func main() {
	body := make([]byte, 32<<20)
	code := regexp.MustCompile(`<Code>(\w+)</Code>`)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	client := &http.Client{Transport: transport}
	for i := 0; i < 20; i++ {
		request, err := http.NewRequest("PUT", os.Args[1], bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		response, err := client.Do(request)
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		if found := code.FindSubmatch(text); found != nil {
			fmt.Println(response.StatusCode, string(found[1]))
		} else {
			fmt.Println(response.StatusCode, "no code")
		}
	}
}
