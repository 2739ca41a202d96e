"""Python runs this file when it starts: where run.py has set SIM_GPUS, the simulated device is switched on"""
import os
if os.environ.get('SIM_GPUS') and os.environ.get('CUDA_VISIBLE_DEVICES')!='':
    import simgpu; mode = simgpu.everywhere()
