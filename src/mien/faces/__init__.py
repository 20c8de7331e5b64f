"""Pictures in, face crops out: ``sources`` reads, ``detect`` finds, ``track`` follows, ``crop`` frames.

::

    sources ─┬─ images             pictures of every kind
             ├─ archive            zip and tar
             ├─ video, live        files; cameras and RTSP streams
             └─ remote ─ motion_jpeg, connection      web addresses
    detect ──┬─ yunet, haar, mtcnn
             └─ landmarks ─ blazeface          each gives a detection
    follow ─── track ─ assignment
    crop, quality
"""
