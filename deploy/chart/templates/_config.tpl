{{/* The configuration file. Helm reads every number as a fraction; the program wants whole ones where they are. */}}
{{- define "order-router.config" -}}
{{- $secrets := "/run/secrets/order-router" -}}
{{- $broker := dict "url_file" (printf "%s/broker/url" $secrets) "prefix" .Values.broker.prefix "declare" .Values.broker.declare -}}
{{- if .Values.broker.tlsSecretName -}}
{{- range $key, $file := dict "ca_file" "ca.crt" "cert_file" "tls.crt" "key_file" "tls.key" -}}
{{- $_ := set $broker $key (printf "%s/broker-tls/%s" $secrets $file) -}}
{{- end -}}
{{- end -}}
{{- $journal := dict "retention_days" (int .Values.journal.retentionDays) -}}
{{- if eq .Values.journal.kind "sqlite" -}}
{{- $_ := set $journal "url" "sqlite:////var/lib/order-router/order-router.db" -}}
{{- else -}}
{{- $_ := set $journal "url_file" (printf "%s/journal/url" $secrets) -}}
{{- end -}}
{{- $worker := dict "drain_timeout_s" (int .Values.worker.drainSeconds) -}}
{{- with .Values.worker.lanes -}}
{{- $_ := set $worker "lanes" . -}}
{{- end -}}
{{- $accounts := dict -}}
{{- range $venue, $named := .Values.accounts -}}
{{- $here := dict -}}
{{- range $account, $given := $named -}}
{{- $files := dict -}}
{{- range default (list "api_key" "api_secret") $given.keys -}}
{{- $_ := set $files (printf "%s_file" .) (printf "%s/accounts/%s/%s/%s" $secrets $venue $account .) -}}
{{- end -}}
{{- $_ := set $here $account $files -}}
{{- end -}}
{{- $_ := set $accounts $venue $here -}}
{{- end -}}
{{- $config := dict "http" (dict "host" "0.0.0.0" "port" 9464) "accounts" $accounts "journal" $journal -}}
{{- $_ := set $config "broker" (mergeOverwrite (deepCopy .Values.broker.settings) $broker) -}}
{{- $_ := set $config "worker" (mergeOverwrite (deepCopy .Values.worker.settings) $worker) -}}
{{- with .Values.senders -}}
{{- $_ := set $config "senders" (deepCopy .) -}}
{{- end -}}
{{- with .Values.venues -}}
{{- $_ := set $config "venues" (deepCopy .) -}}
{{- end -}}
{{- include "order-router.wholeNumbers" $config -}}
{{- toToml $config -}}
{{- end -}}

{{/* Turns every number without a fraction into a whole one, in place. */}}
{{- define "order-router.wholeNumbers" -}}
{{- $table := . -}}
{{- range $key, $value := $table -}}
{{- if kindIs "map" $value -}}
{{- include "order-router.wholeNumbers" $value -}}
{{- else if and (kindIs "float64" $value) (eq $value (floor $value)) -}}
{{- $_ := set $table $key (int64 $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
