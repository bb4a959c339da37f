{{/* The pod of either process. Takes root, component, args, resources. */}}
{{- define "order-router.pod" -}}
{{- $values := .root.Values -}}
metadata:
  labels:
    {{- include "order-router.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with $values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # Another configuration is another pod.
    order-router/config: {{ include "order-router.config" .root | sha256sum | trunc 16 }}
    {{- with $values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "order-router.serviceAccount" .root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # Longer than the drain, or the pod is killed with requests under way.
  terminationGracePeriodSeconds: {{ include "order-router.graceSeconds" .root }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- include "order-router.antiAffinity" . | nindent 2 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: order-router
      image: {{ include "order-router.image" .root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: {{ toJson .args }}
      {{- with $values.env }}
      env: {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http, containerPort: 9464, protocol: TCP}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      # Whether the loop turns, and nothing else: a restart cures no broker, journal or venue that is away.
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
      resources: {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/order-router, readOnly: true}
        - {name: secrets, mountPath: /run/secrets/order-router, readOnly: true}
        {{- if eq $values.journal.kind "sqlite" }}
        - {name: journal, mountPath: /var/lib/order-router}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "order-router.fullname" .root }}}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- range include "order-router.secrets" .root | fromJsonArray }}
          {{- $folder := .folder }}
          - secret:
              name: {{ .name }}
              items:
                {{- range .keys }}
                - {key: {{ . }}, path: {{ $folder }}/{{ . }}}
                {{- end }}
          {{- end }}
    {{- if eq $values.journal.kind "sqlite" }}
    - name: journal
      persistentVolumeClaim: {claimName: {{ include "order-router.fullname" .root }}-journal}
    {{- end }}
{{- end -}}

{{/* Pods of one kind on different nodes. */}}
{{- define "order-router.antiAffinity" -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (dict
      "app.kubernetes.io/name" (include "order-router.name" .root)
      "app.kubernetes.io/instance" .root.Release.Name
      "app.kubernetes.io/component" .component)) -}}
{{- if eq .root.Values.antiAffinity "required" -}}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - {{- toYaml $term | nindent 8 }}
{{- else if eq .root.Values.antiAffinity "preferred" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm: {{- toYaml $term | nindent 10 }}
{{- end -}}
{{- end -}}

{{/* How new pods take over. Where no two may share a node, there may be no node for one more. */}}
{{- define "order-router.rollingUpdate" -}}
type: RollingUpdate
{{ if eq .Values.antiAffinity "required" -}}
rollingUpdate: {maxSurge: 0, maxUnavailable: 1}
{{- else -}}
# A new one is ready before an old one drains.
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end -}}
{{- end -}}
