// Renders conversations with a template of Go's text/template, given the values that Ollama gives it.
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type Message struct {
	Role    string
	Content string
}

type Case struct {
	Template string
	Messages []*Message
}

func main() {
	var cases []Case
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	texts := []string{}
	for _, each := range cases {
		var system []string
		for _, message := range each.Messages {
			if message.Role == "system" {
				system = append(system, message.Content)
			}
		}
		var text strings.Builder
		made := template.Must(template.New("").Option("missingkey=zero").Parse(each.Template))
		values := map[string]any{"System": strings.Join(system, "\n\n"), "Messages": each.Messages, "Response": ""}
		if err := made.Execute(&text, values); err != nil {
			panic(err)
		}
		texts = append(texts, text.String())
	}
	json.NewEncoder(os.Stdout).Encode(texts)
}
