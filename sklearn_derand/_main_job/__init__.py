"""The main job: three estimators on real data beside their peers, as tables, a report and pictures."""
