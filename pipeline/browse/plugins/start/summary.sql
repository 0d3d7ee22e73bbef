-- The last run, and totals: always one row; the columns of the run are null in an empty database.
select last.id as snapshot, last.started_at, last.finished_at, last.status, last.scopes, last.answered,
       last.held, last.failed,
       (select count(*) from snapshots) as snapshots,
       exists (select 1 from snapshots where status <> 'imported') as has_run,
       (select min(started_at) from snapshots) as first_at,
       (select count(*) from scopes where asked) as asked,
       (select count(*) from scopes where not asked) as retired,
       (select count(distinct gateway) from scopes where asked) as gateways,
       (select count(*) from models where not (
            name glob 'group:*' and gateway in (select gateway from scopes where lists_groups))) as models
from (select 1)
left join (select * from snapshots order by started_at desc, id desc limit 1) as last
