{{/* Every Secret that the pods see: its name, its keys, and its folder below /run/secrets/order-router. As JSON. */}}
{{- define "order-router.secrets" -}}
{{- $found := list (dict "name" .Values.broker.secretName "keys" (list "url") "folder" "broker") -}}
{{- with .Values.broker.tlsSecretName -}}
{{- $found = append $found (dict "name" . "keys" (list "ca.crt" "tls.crt" "tls.key") "folder" "broker-tls") -}}
{{- end -}}
{{- if eq .Values.journal.kind "postgresql" -}}
{{- $found = append $found (dict "name" .Values.journal.secretName "keys" (list "url") "folder" "journal") -}}
{{- with .Values.journal.caSecretName -}}
{{- $found = append $found (dict "name" . "keys" (list "ca.crt") "folder" "journal-tls") -}}
{{- end -}}
{{- end -}}
{{- range $venue, $accounts := .Values.accounts -}}
{{- range $account, $given := $accounts -}}
{{- $keys := default (list "api_key" "api_secret") $given.keys -}}
{{- $found = append $found (dict "name" $given.secretName "keys" $keys "folder" (printf "accounts/%s/%s" $venue $account)) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
