// Draws one dashboard from its own JSON and from Prometheus' answers, with Grafana's panel components.
//
// `/data.json` is {dashboard, answers: {panel title: {letter: series of query_range}}, from_s, to_s}. Curves and numbers
// are @grafana/ui's own; it has no state timeline, so those bars are plain boxes in the colours of the panel's mappings.
import { createRoot } from 'react-dom/client';
import {
  createTheme,
  dateTime,
  EventBusSrv,
  FieldType,
  getDisplayProcessor,
  getFieldDisplayValues,
  toDataFrame,
  type DataFrame,
  type GrafanaTheme2,
} from '@grafana/data';
import { BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, PanelChrome, PanelContextProvider, ThemeContext, TimeSeries } from '@grafana/ui';

const COLUMN = 66;
const ROW = 38;
const GAP = 8;

type Series = { metric: Record<string, string>; values: [number, string][] };
type Panel = any;
type Data = { dashboard: any; answers: Record<string, Record<string, Series[]>>; from_s: number; to_s: number };

function named(series: Series, legend: string): string {
  return legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => series.metric[label] ?? '').trim();
}

function colour(index: number, theme: GrafanaTheme2): string {
  return theme.visualization.getColorByName(theme.visualization.palette[index % theme.visualization.palette.length]);
}

function frames(panel: Panel, data: Data, theme: GrafanaTheme2): DataFrame[] {
  const answers = data.answers[panel.title] ?? {};
  const found: DataFrame[] = [];
  for (const target of panel.targets) {
    for (const series of answers[target.refId] ?? []) {
      const name = named(series, target.legendFormat);
      const defaults = panel.fieldConfig.defaults;
      const config = {
        ...defaults,
        displayName: name,
        displayNameFromDS: name,
        color: { mode: 'fixed', fixedColor: colour(found.length, theme) },
        custom: { ...defaults.custom, ...(defaults.custom?.stacking ? { stacking: { group: 'A', ...defaults.custom.stacking } } : {}) },
      };
      const numbers = new Map(series.values.map(([at, value]) => [at, Number(value)]));
      if (target.instant && !numbers.has(data.to_s)) {
        continue;
      }
      const times = [];
      const values = [];
      for (let at = target.instant ? data.to_s : data.from_s; at <= data.to_s; at += 1) {
        times.push(at * 1000);
        const value = numbers.get(at);
        values.push(value === undefined || Number.isNaN(value) ? null : value);
      }
      const frame = toDataFrame({
        fields: [
          { name: 'Time', type: FieldType.time, values: times, config: {} },
          { name, type: FieldType.number, values, config },
        ],
      });
      frame.fields.forEach((field) => { field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' }); });
      found.push(frame);
    }
  }
  return found;
}

function Curves({ panel, data, width, height, theme }: any) {
  const range = { from: dateTime(data.from_s * 1000), to: dateTime(data.to_s * 1000) };
  return (
    <TimeSeries
      frames={frames(panel, data, theme)}
      structureRev={1}
      timeRange={{ ...range, raw: range }}
      timeZone="utc"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
    />
  );
}

function Numbers({ panel, data, width, height, theme }: any) {
  const shown = getFieldDisplayValues({
    fieldConfig: { defaults: { ...panel.fieldConfig.defaults, color: { mode: 'thresholds' } }, overrides: [] },
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text: string) => text,
    theme,
    data: frames(panel, data, theme).map((frame) => {
      frame.fields[1].config = { ...frame.fields[1].config, color: { mode: 'thresholds' } };
      frame.fields[1].display = getDisplayProcessor({ field: frame.fields[1], theme, timeZone: 'utc' });
      return frame;
    }),
    timeZone: 'utc',
  });
  const each = width / shown.length;
  return (
    <div style={{ display: 'flex' }}>
      {shown.map((value, index) => (
        <BigValue
          key={index}
          value={value.display}
          width={each}
          height={height}
          theme={theme}
          colorMode={BigValueColorMode.Value}
          graphMode={BigValueGraphMode.None}
          textMode={shown.length > 1 ? BigValueTextMode.ValueAndName : BigValueTextMode.Value}
        />
      ))}
    </div>
  );
}

function States({ panel, data, width, height, theme }: any) {
  const mapping = panel.fieldConfig.defaults.mappings[0].options;
  const rows = frames(panel, data, theme);
  const label = Math.min(260, width / 3);
  const tall = Math.min(26, (height - 24) / Math.max(rows.length, 1));
  const wide = (width - label - 12) / (data.to_s - data.from_s + 1);
  return (
    <div style={{ fontSize: Math.min(12, tall - 2), padding: 4 }}>
      {rows.map((frame, row) => (
        <div key={row} style={{ display: 'flex', height: tall, alignItems: 'center' }}>
          <div style={{ width: label, overflow: 'hidden', whiteSpace: 'nowrap', textOverflow: 'ellipsis' }}>{frame.fields[1].name}</div>
          {frame.fields[1].values.map((value: number | null, index: number) => (
            <div
              key={index}
              style={{
                width: wide,
                height: tall * 0.8,
                background: value === null ? 'transparent' : theme.visualization.getColorByName(mapping[String(value)]?.color ?? 'text'),
              }}
            />
          ))}
        </div>
      ))}
      <div style={{ display: 'flex', gap: 12 }}>
        {Object.entries(mapping).map(([value, said]: any) => (
          <span key={value} style={{ color: theme.visualization.getColorByName(said.color) }}>■ {said.text}</span>
        ))}
      </div>
    </div>
  );
}

const KINDS: Record<string, any> = { timeseries: Curves, stat: Numbers, 'state-timeline': States };

function Dashboard({ data, theme }: { data: Data; theme: GrafanaTheme2 }) {
  const panels = data.dashboard.panels;
  const bottom = Math.max(...panels.map((panel: Panel) => panel.gridPos.y + panel.gridPos.h));
  return (
    <div id="drawn" style={{ position: 'relative', width: 24 * COLUMN + GAP, height: bottom * ROW + 50, background: theme.colors.background.canvas, color: theme.colors.text.primary, fontFamily: theme.typography.fontFamily }}>
      <div style={{ padding: 12, fontSize: 20 }}>{data.dashboard.title}</div>
      {panels.map((panel: Panel) => {
        const { x, y, w, h } = panel.gridPos;
        const place: any = { position: 'absolute', left: x * COLUMN + GAP, top: y * ROW + 46, width: w * COLUMN - GAP, height: h * ROW - GAP };
        if (panel.type === 'row') {
          return <div key={panel.id} style={{ ...place, fontSize: 16, paddingTop: 4 }}>{panel.title}</div>;
        }
        const Kind = KINDS[panel.type];
        return (
          <div key={panel.id} style={place}>
            <PanelChrome title={panel.title} width={w * COLUMN - GAP} height={h * ROW - GAP}>
              {(width, height) => <Kind panel={panel} data={data} width={width} height={height} theme={theme} />}
            </PanelChrome>
          </div>
        );
      })}
    </div>
  );
}

async function draw() {
  const data: Data = await (await fetch('data.json')).json();
  const theme = createTheme({ colors: { mode: 'dark' } });
  const root = createRoot(document.getElementById('root')!);
  root.render(
    <ThemeContext.Provider value={theme}>
      <PanelContextProvider value={{ eventsScope: 'global', eventBus: new EventBusSrv() }}>
        <Dashboard data={data} theme={theme} />
      </PanelContextProvider>
    </ThemeContext.Provider>,
  );
}

void draw();
