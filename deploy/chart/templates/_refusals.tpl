{{/* What a schema cannot say. Each message says what to change. */}}
{{- define "order-router.refusals" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: build the image (make image), push it, and name it here" -}}
{{- end -}}
{{- if not .Values.accounts -}}
{{- fail "accounts is empty: at least one account is needed, such as accounts.gmo_coin.main.secretName" -}}
{{- end -}}
{{- if eq .Values.journal.kind "sqlite" -}}
{{- if or .Values.keda.enabled (gt (int .Values.worker.replicas) 1) -}}
{{- fail "journal.kind is sqlite, which is one file for the processes of one machine: set worker.replicas to 1 and keda.enabled to false, or journal.kind to postgresql" -}}
{{- end -}}
{{- if not .Values.worker.feed -}}
{{- fail "journal.kind is sqlite, which one pod has alone: set worker.feed to true, so that the feeds run in it too, or journal.kind to postgresql" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.keda.enabled (lt (int .Values.keda.maxReplicas) (int .Values.keda.minReplicas)) -}}
{{- fail "keda.maxReplicas is less than keda.minReplicas" -}}
{{- end -}}
{{- if lt (int (include "order-router.graceSeconds" .)) (int (add .Values.worker.drainSeconds 10)) -}}
{{- fail "terminationGraceSeconds must be at least worker.drainSeconds + 10: who is killed while draining leaves commands to be looked up" -}}
{{- end -}}
{{- if and .Values.externalSecrets.enabled (not .Values.externalSecrets.storeName) -}}
{{- fail "externalSecrets.storeName is empty: name the SecretStore or ClusterSecretStore" -}}
{{- end -}}
{{- end -}}
